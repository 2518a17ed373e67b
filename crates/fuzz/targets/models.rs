//! Files that trainers have written, damaged under a seal that holds: the first byte says which, the rest is the content.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::{file, folder, within};
use trainyard_ivf::Model as Index;
use trainyard_portrait::Portrait;
use trainyard_tabular::{Dataset, Limits, Lineup, Model, Shares};
use trainyard_trainkit::{seal, unseal};

fuzz_target!(|data: &[u8]| {
    let Some((which, content)) = data.split_first() else { return };
    let _ = unseal(b"EXAMPLE\0", 1, content);
    let sealed = |magic: &[u8; 8], format| file("sealed", &seal(magic, format, content));
    match which % 5 {
        0 => {
            let path = sealed(b"TYARDCLS", 2);
            let opened = within(64 << 20, || Model::open(&path, &Lineup::standard()));
            if let Ok(model) = opened {
                let csv = file("csv", b"id,a,b\n1,2,x\n2,,\n");
                let mut out = Vec::new();
                let _ = within(64 << 20, || model.predict_csv(&csv, &mut out, &Limits::default(), &|| false));
            }
        }
        1 => {
            let path = sealed(b"TYARDTAB", 1);
            let _ = within(64 << 20, || Dataset::open(&path, &Shares::default(), 1, &|| false));
        }
        2 => {
            let path = sealed(b"TYARDPOR", 1);
            let opened = within(64 << 20, || Portrait::open(&path));
            if let Ok(portrait) = opened {
                for look in 0..portrait.looks().len().min(2) {
                    let _ = within(64 << 20, || portrait.render(look));
                }
            }
        }
        3 => {
            let path = sealed(b"TYARDIVF", 1);
            let opened = within(64 << 20, || Index::load(&path));
            if let Ok(model) = opened {
                let again = folder().join("again");
                model.save(&again).expect("there is room");
                assert_eq!(Index::load(&again).expect("it was just written").tag(), model.tag());
            }
        }
        _ => {
            // Without a seal that holds.
            let path = file("bare", content);
            assert!(within(16 << 20, || Model::open(&path, &Lineup::standard())).is_err());
            let _ = within(16 << 20, || Portrait::open(&path));
            let _ = within(16 << 20, || Index::load(&path));
        }
    }
});
