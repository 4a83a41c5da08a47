//! The pipeline end to end on small captures.

use std::path::{Path, PathBuf};

use vxscope_config::Config;
use vxscope_engine::{Replay, replay};

#[test]
fn corpus_vxlan() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/corpus/vxlan/suricata-verify__vxlan-decoder-03__vxlan.pcap");
    for workers in 1..4 {
        let mut config = Config::default();
        config.workers = std::num::NonZeroU16::new(workers).unwrap();
        let out = PathBuf::from(format!("/tmp/out{workers}"));
        let run = Replay {
            config,
            inputs: vec![file.clone()],
            out,
            bare: false,
            extract: vec![],
        };
        let outcome = replay(&run, &|_| ()).unwrap();
        println!("{:?} {}", outcome.summary, outcome.plan);
        assert!(outcome.is_success());
    }
}
