//! A vector that never grows: entries live in a [`Slab`], so they never move.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::slab::Slab;

/// Up to a fixed number of entries on huge pages. Entries are `Copy`, so nothing is dropped.
pub struct FixedVec<T: Copy> {
    slab: Slab,
    length: usize,
    capacity: usize,
    entry: PhantomData<T>,
}

/// The capacity is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T: Copy> FixedVec<T> {
    /// Reserves room for `capacity` entries; none exists yet.
    ///
    /// # Errors
    /// What the kernel says when it has no address space left.
    pub fn with_capacity(capacity: usize) -> io::Result<Self> {
        const { assert!(align_of::<T>() <= 4096, "a mapping is aligned to pages") };
        let bytes = capacity
            .checked_mul(size_of::<T>())
            .ok_or_else(|| io::Error::other("more bytes than addresses"))?;
        // Even a vector of no entries has a mapping, so that its start is aligned for them.
        Ok(Self {
            slab: Slab::try_new(bytes.max(1))?,
            length: 0,
            capacity,
            entry: PhantomData,
        })
    }

    /// Appends an entry and returns its index.
    ///
    /// # Errors
    /// [`Full`] when the capacity is reached.
    #[inline]
    pub fn push(&mut self, entry: T) -> Result<usize, Full> {
        if self.length == self.capacity {
            return Err(Full);
        }
        let index = self.length;
        // SAFETY: index < capacity, and the slab holds capacity × size_of::<T>() bytes, aligned
        // to pages (asserted to be enough in `with_capacity`). `T: Copy` has nothing to drop.
        unsafe { self.base().add(index).write(entry) };
        self.length += 1;
        Ok(index)
    }

    /// How many entries fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all entries; the memory stays.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    fn base(&mut self) -> *mut T {
        self.slab.as_mut_ptr().cast()
    }
}

impl FixedVec<u64> {
    /// `length` zeroes. Pages are the kernel's zero pages until written.
    ///
    /// # Errors
    /// What the kernel says when it has no address space left.
    pub fn zeroed(length: usize) -> io::Result<Self> {
        // The mapping is zero-filled, and zero bytes are a valid u64.
        let mut zeroes = Self::with_capacity(length)?;
        zeroes.length = length;
        Ok(zeroes)
    }
}

impl<T: Copy> Deref for FixedVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `length` entries were written by `push` (or are zeroes of u64), the
        // slab outlives the borrow, and its start is that of a mapping: aligned to pages, which
        // `with_capacity` asserts to be enough for T.
        unsafe { std::slice::from_raw_parts(self.slab.as_ptr().cast(), self.length) }
    }
}

impl<T: Copy> DerefMut for FixedVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let length = self.length;
        // SAFETY: as in `deref`; `&mut self` makes this the only access.
        unsafe { std::slice::from_raw_parts_mut(self.base(), length) }
    }
}

impl<T: Copy> fmt::Debug for FixedVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FixedVec({} of {})", self.length, self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::{FixedVec, Full};

    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(64))]
    struct Line(u64);

    #[test]
    fn holds_what_was_pushed_until_full() {
        let mut lines = FixedVec::with_capacity(2).expect("two lines");
        assert_eq!(lines.push(Line(1)), Ok(0));
        assert_eq!(lines.push(Line(2)), Ok(1));
        assert_eq!(lines.push(Line(3)), Err(Full));
        lines[0] = Line(4);
        assert_eq!(&*lines, &[Line(4), Line(2)]);
    }

    #[test]
    fn of_no_entries_is_an_empty_slice() {
        let mut none = FixedVec::<Line>::with_capacity(0).expect("nothing");
        assert!(none.is_empty());
        assert_eq!(none.push(Line(1)), Err(Full));
        assert_eq!(none.iter_mut().count(), 0);
    }

    #[test]
    fn zeroes_are_zero() {
        let zeroes = FixedVec::zeroed(1000).expect("a few pages");
        assert!(zeroes.iter().all(|number| *number == 0));
        assert_eq!(zeroes.len(), 1000);
    }
}
