//! Makes a base model from scratch, for adapters to be learned beside.
//!
//! `cargo run --release -p trainyard-finetune --example make_base -- <folder> [seed] [steps]` (default: seed 1, 300 steps)

use std::error::Error;
use std::path::PathBuf;

use trainyard_finetune::{Base, Recipe};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().ok_or("which folder is it to be written to?")?);
    let seed = words.next().map_or(Ok(1), |word| word.parse())?;
    let mut recipe = Recipe::new(seed);
    if let Some(steps) = words.next() {
        recipe = recipe.with_steps(steps.parse()?);
    }
    let mut step = 0;
    let base = Base::make(&recipe, std::thread::available_parallelism()?, &mut |loss| {
        if step % 20 == 0 {
            println!("step {step:>5}  loss {loss:.3}");
        }
        step += 1;
        true
    });
    base.ok_or("it goes on to the end")?.save(&folder)?;
    println!("{}", folder.display());
    Ok(())
}
