//! `vxscope bench` from the outside.

use serde_json::Value;

use crate::{folder, vxscope};

#[test]
fn every_try_is_told_and_the_best_without_loss_is_the_result() {
    let dir = folder();
    let run = vxscope(
        dir.path(),
        &[
            "bench",
            "--json",
            "--seconds",
            "1",
            "--size",
            "64",
            "--set",
            "rings.memory=16MiB",
        ],
    );
    let told: Value = serde_json::from_str(&run.ok()).expect("JSON");
    assert_eq!(
        (&told["schema"], &told["backend"]),
        (&Value::from(1), &Value::from("udp"))
    );
    let result = &told["results"][0];
    assert_eq!(result["size"], "64");
    let tries = result["tries"].as_array().expect("tries");
    assert!(!tries.is_empty() && tries.len() <= 14);
    let lossless = tries.iter().filter(|it| it["lost"] == 0);
    let best = lossless
        .filter_map(|it| it["sent_per_second"].as_u64())
        .max();
    assert_eq!(
        result["packets_per_second"].as_u64(),
        Some(best.unwrap_or(0))
    );
    assert!(["sender", "loss"].contains(&result["limited_by"].as_str().expect("a word")));
    // It writes nowhere but where it cleans up.
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let dir = folder();
    for arguments in [&["bench", "--seconds", "0"][..], &["bench", "--size", "3"]] {
        vxscope(dir.path(), arguments).fails(2);
    }
}
