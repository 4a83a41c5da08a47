//! Asking the processor to fetch a cache line before it is needed.

use std::ops::Range;

/// Bytes that come and go together on every processor this runs on: a cache line.
pub const LINE: usize = 64;

/// Hints that `slice[index]` will be read soon; does nothing if there is no such element.
#[inline]
pub fn prefetch<T>(slice: &[T], index: usize) {
    if let Some(element) = slice.get(index) {
        prefetch_part(element, 0..size_of::<T>());
    }
}

/// The same for a range of a value's bytes, as far as it has them.
#[inline(always)]
pub fn prefetch_part<T>(of: &T, bytes: Range<usize>) {
    let start: *const i8 = std::ptr::from_ref(of).cast();
    for offset in (bytes.start..bytes.end.min(size_of::<T>())).step_by(LINE) {
        hint(start.wrapping_add(offset));
    }
}

/// Hints that the cache line at `offset` will be read soon. What lies behind the end of the bytes is
/// asked for, too, which is no access and does no harm: so the caller need not know where it is.
#[inline]
pub fn prefetch_line(bytes: &[u8], offset: usize) {
    hint(bytes.as_ptr().cast::<i8>().wrapping_add(offset));
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn hint(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch never faults and changes nothing but the cache, whatever the address;
    // SSE, which it needs, is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn hint(address: *const i8) {
    // SAFETY: PRFM is a hint: it never faults, writes no register and no memory.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn hint(_address: *const i8) {}

#[cfg(test)]
mod tests {
    use super::{prefetch, prefetch_line, prefetch_part};

    #[test]
    fn an_index_out_of_bounds_is_no_address() {
        prefetch(&[1_u8, 2], 1);
        prefetch(&[1_u8, 2], 2);
        prefetch::<u64>(&[], 0);
        prefetch_part(&[1_u8, 2], 1..3);
        prefetch_line(&[], 0);
        prefetch_line(&[1, 2, 3], usize::MAX);
    }
}
