//! Configurations of any text; see `vxscope_testkit::property::config`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxscope_testkit::property;

fuzz_target!(|data: &[u8]| property::config(data));
