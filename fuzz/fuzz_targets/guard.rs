//! Sequences of wishes and everything else at the gate; see `vxscope_testkit::property::guard`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxscope_testkit::property;

fuzz_target!(|data: &[u8]| property::guard(data));
