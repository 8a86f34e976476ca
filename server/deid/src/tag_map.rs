//! Something for each of some tags, found in constant time.
//!
//! Each element of each object is looked up several times, and mostly is not there. An open table half empty answers both
//! in one step or two, without a keyed hash: the keys are those of tables compiled in, never a stranger's.

use dicom_core::Tag;

use crate::table::number;

/// A map from tags.
#[derive(Debug, Clone)]
pub(crate) struct TagMap<T> {
    /// The number of a tag and where its value is; places are a power of two.
    places: Vec<Option<(u32, u32)>>,
    values: Vec<T>,
}

impl<T> TagMap<T> {
    pub(crate) fn get(&self, tag: Tag) -> Option<&T> {
        self.get_number(number(tag))
    }

    pub(crate) fn get_number(&self, number: u32) -> Option<&T> {
        let mut at = self.begin(number);
        loop {
            match self.places.get(at)? {
                Some((other, index)) if *other == number => return self.values.get(*index as usize),
                Some(_) => at = self.next(at),
                None => return None,
            }
        }
    }

    /// Returns all values.
    #[cfg(test)]
    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    fn begin(&self, number: u32) -> usize {
        // Fibonacci hashing: the upper half of the product is mixed best.
        let mixed = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        mixed as usize & self.places.len().wrapping_sub(1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & self.places.len().wrapping_sub(1)
    }

    fn insert(&mut self, number: u32, value: T) {
        let mut at = self.begin(number);
        while let Some(place) = self.places.get(at).copied() {
            match place {
                Some((other, index)) if other == number => {
                    if let Some(old) = self.values.get_mut(index as usize) {
                        *old = value;
                    }
                    return;
                }
                Some(_) => at = self.next(at),
                None => break,
            }
        }
        if let (Some(place), Ok(index)) = (self.places.get_mut(at), u32::try_from(self.values.len())) {
            *place = Some((number, index));
            self.values.push(value);
        }
    }
}

impl<T> FromIterator<(u32, T)> for TagMap<T> {
    fn from_iter<I: IntoIterator<Item = (u32, T)>>(pairs: I) -> Self {
        let pairs: Vec<(u32, T)> = pairs.into_iter().collect();
        let mut map = Self {
            places: vec![None; (2 * pairs.len() + 2).next_power_of_two()],
            values: Vec::with_capacity(pairs.len()),
        };
        for (number, value) in pairs {
            map.insert(number, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_found_and_no_other() {
        let map: TagMap<u32> = (0..5000_u32).map(|n| (n * 0x0001_0003, n)).collect();
        for n in 0..5000 {
            assert_eq!(map.get_number(n * 0x0001_0003), Some(&n));
            assert_eq!(map.get_number(n * 0x0001_0003 + 1), None);
        }
        let empty: TagMap<u32> = std::iter::empty().collect();
        assert_eq!(empty.get(Tag(8, 5)), None);
        let twice: TagMap<u32> = [(7, 1), (7, 2)].into_iter().collect();
        assert_eq!((twice.get_number(7), twice.values()), (Some(&2), [2].as_slice()));
    }
}
