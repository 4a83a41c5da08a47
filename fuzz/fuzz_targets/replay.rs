//! The whole sensor over any capture; see `vxscope_testkit::property::replay`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxscope_testkit::property;

fuzz_target!(|data: &[u8]| property::replay(data));
