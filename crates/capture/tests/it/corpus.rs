//! Captures of other projects, where they are at hand: mapped and streamed give the same.

use std::fs::{self, File};
use std::path::Path;

use vxscope_capture::{Input, open};

use crate::{Chunky, walk_all};

#[test]
fn every_capture_reads_the_same_from_a_stream() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let Ok(manifest) = fs::read_to_string(root.join("MANIFEST.tsv")) else {
        println!("skipped: {} is not there", root.display());
        return;
    };
    let mut files = 0;
    for row in manifest.lines().skip(1) {
        let path = root.join(row.split('\t').next().unwrap());
        let name = path.to_str().unwrap();
        let mapped = walk_all(open(&path).unwrap());
        let streamed = walk_all(Input::from_reader(name, File::open(&path).unwrap()));
        let bytes = fs::read(&path).unwrap();
        let chunky = Chunky::new(&bytes, &[1, 4_096, 17, 1_000]);
        let chunky = walk_all(Input::with_block_bytes(name, chunky, 5_000));
        for other in [streamed, chunky] {
            assert_eq!(other.records, mapped.records, "{name}");
            assert_eq!(
                (other.walked, other.error),
                (mapped.walked, mapped.error.clone()),
                "{name}"
            );
        }
        files += 1;
    }
    assert!(files > 0);
}
