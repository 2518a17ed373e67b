//! What agents send, what the filter leaves of it, and rows to learn from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::within;
use trainyard_trajectories::{
    Limits, PrivacyFilter, Redactions, RowLimits, Rows, Task, Trajectories, Trajectory, native_line,
};

const LIMITS: Limits = Limits {
    trajectories: 20,
    bytes: 16 << 10,
    steps: 20,
    calls: 20,
    accesses: 20,
    text_bytes: 4 << 10,
    name_bytes: 64,
    depth: 16,
};

fuzz_target!(|bytes: &[u8]| within(64 << 20, || {
    let filter = PrivacyFilter::new("a salt").with_secret("correct horse battery");
    let row_limits = RowLimits { bytes: 1 << 20, rows: 100, line_bytes: 64 << 10 };
    for trajectory in Trajectories::new(bytes, LIMITS).flatten().take(3) {
        let json = trajectory.to_json().to_string();
        let generous = Limits { bytes: 1 << 20, ..LIMITS };
        let again = Trajectory::from_json(json.as_bytes(), &generous);
        assert_eq!(again.expect("it was written by us"), trajectory);
        let (filtered, _) = filter.trajectory(&trajectory);
        let (again, found) = filter.trajectory(&filtered);
        assert_eq!(
            (again, found),
            (filtered.clone(), Redactions::default()),
            "nothing is left to be taken out"
        );
        for (nth, call) in filtered.usable_calls().enumerate() {
            let line = native_line(&filtered, call, nth, Task::Response, "dataset-1");
            let row = Rows::new(line.as_bytes(), RowLimits::default()).next().expect("it is a line");
            row.expect("it was written by us");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let less = filter.text("chat", &text, &mut Redactions::default());
    assert!(!less.contains("correct horse battery"));
    assert_eq!(filter.text("chat", &less, &mut Redactions::default()), less);
    let _ = Rows::new(bytes, row_limits).take(200).filter(Result::is_ok).count();
}));
