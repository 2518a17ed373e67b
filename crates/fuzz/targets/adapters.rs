//! Language models and adapters of strangers: the first byte says of what sort, then a line of configuration, then the
//! weights.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use trainyard_finetune::{Adapter, Base, Head, Recipe, Shape, Sizes};
use trainyard_fuzz::{folder, within};

static BASE: LazyLock<Base> = LazyLock::new(|| {
    let sizes = Sizes {
        layers: 1,
        width: 4,
        heads: 1,
        key_heads: 1,
        hidden: 4,
        context: 256,
        vocabulary: 264,
        head: Head::Tied,
        wave_base: 10_000.0,
        norm_least: 1e-5,
    };
    let recipe = Recipe::new(1).with_shape(Shape::new(sizes).expect("it is one")).expect("it is one");
    let recipe = recipe.with_steps(std::num::NonZeroU64::MIN);
    Base::make(&recipe, std::num::NonZeroUsize::MIN, &mut |_| true).expect("it goes on to the end")
});

fuzz_target!(|data: &[u8]| {
    let base = &*BASE;
    let Some((which, rest)) = data.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (config, weights) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let names = [["config.json", "model.safetensors"], ["adapter_config.json", "adapter_model.safetensors"]];
    let [config_name, weights_name] = names[usize::from(which % 2)];
    fs::write(folder().join(config_name), config).expect("there is room");
    fs::write(folder().join(weights_name), weights).expect("there is room");
    if which % 2 == 0 {
        let opened = within(64 << 20, || Base::open(folder(), 1 << 20));
        if let Ok(opened) = opened {
            let again = folder().join("again");
            opened.save(&again).expect("there is room");
            assert_eq!(Base::open(&again, 1 << 20).expect("it was just written"), opened);
            fs::remove_dir_all(again).expect("it was just written");
        }
    } else {
        let _ = within(64 << 20, || Adapter::open(folder(), base));
    }
});
