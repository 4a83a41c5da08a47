//! The kernel's program and the steering function; see `vxscope_testkit::property::steering`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vxscope_testkit::property;

fuzz_target!(|data: &[u8]| property::steering(data));
