//! What DuckDB reads is what the files had, from a folder and from S3 as moto plays it.

use std::fs;
use std::process::Command;

use crate::{archive, python, said, write_flows};

/// Reads a table back: rows, sums, days, and what one row says.
const QUERY: &str = r#"
import duckdb, sys
rows = duckdb.sql(f"""
    select count(*), sum(pkts_toserver), sum(bytes_toclient), count(distinct flow_id),
           min(timestamp)::varchar, count(distinct event_day), count(rest)
    from read_parquet('{sys.argv[1]}/eve/*/*.parquet', hive_partitioning = true)""").fetchone()
print(*rows, sep="|")
"#;

#[test]
fn duckdb_reads_every_row() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    write_flows(dir.path(), 1_000);
    let to = dir.path().join("out").display().to_string();
    let text = said(&archive(dir.path(), &["--to", &to, "--remove"]));
    assert_eq!(
        text,
        "1 files archived: 1001 rows in 3 parts, 1 malformed lines; \
         0 files were archived already\n"
    );
    assert!(!dir.path().join("eve.json").exists());
    let read = Command::new(python)
        .args(["-c", QUERY, &to])
        .output()
        .unwrap();
    let read = said(&read);
    let fields: Vec<&str> = read.trim().split('|').collect();
    let sum: u64 = (0..1_000).sum();
    assert_eq!(
        fields[..4],
        ["1001", "3000", &sum.to_string(), "1000"],
        "{read}"
    );
    assert!(fields[4].starts_with("2026-11-20 10:00:00"), "{read}");
    assert_eq!(fields[5..], ["3", "1001"], "two days and what is of none");
}

/// moto plays S3; what the archive put there is fetched with boto3 and read by DuckDB.
const BUCKET: &str = r#"
import sys, subprocess, os, boto3, pathlib
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
os.environ.update(AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_REGION="eu-west-1",
    AWS_ENDPOINT_URL=url, AWS_ALLOW_HTTP="true")
s3 = boto3.client("s3", endpoint_url=url, region_name="eu-west-1")
s3.create_bucket(Bucket="flows", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
for again in range(2):
    subprocess.run([sys.argv[1], sys.argv[2], "--to", "s3://flows/sensor-1"], check=True)
keys = [it["Key"] for it in s3.list_objects_v2(Bucket="flows")["Contents"]]
for key in keys:
    path = pathlib.Path(sys.argv[3]) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file("flows", key, str(path))
server.stop()
"#;

#[test]
fn a_bucket_holds_the_same() {
    let Some(python) = python() else { return };
    let has_moto = Command::new(&python)
        .args(["-c", "import moto, boto3, flask"])
        .output();
    if !has_moto.is_ok_and(|output| output.status.success()) {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "in CI moto is among the readers");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let got = dir.path().join("got");
    write_flows(dir.path(), 1_000);
    let binary = env!("CARGO_BIN_EXE_vxscope-archive");
    let played = Command::new(&python)
        .args(["-c", BUCKET, binary])
        .args([dir.path(), &got])
        .output()
        .unwrap();
    let text = said(&played);
    assert!(
        text.contains("1 files archived: 1001 rows in 3 parts"),
        "{text}"
    );
    assert!(text.contains("0 files archived: 0 rows"), "{text}");
    let folder = got.join("sensor-1").display().to_string();
    let read = Command::new(&python)
        .args(["-c", QUERY, &folder])
        .output()
        .unwrap();
    let read = said(&read);
    assert!(read.starts_with("1001|3000|499500|1000|"), "{read}");
    assert_eq!(fs::read_dir(got.join("sensor-1/eve")).unwrap().count(), 3);
}
