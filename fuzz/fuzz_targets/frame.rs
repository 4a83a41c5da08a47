//! Inner frames of any bytes; see `vxscope_testkit::property::frame`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxscope_testkit::property;

fuzz_target!(|data: &[u8]| property::frame(data));
