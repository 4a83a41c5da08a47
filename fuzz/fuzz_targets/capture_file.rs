//! Capture files of any bytes; see `vxscope_testkit::property::capture_file`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxscope_testkit::property;

fuzz_target!(|data: &[u8]| property::capture_file(data));
