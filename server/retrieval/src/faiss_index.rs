//! The binding to Faiss, and the only module of the workspace that holds `unsafe`.
//!
//! A flat binary index is an array of codes that Faiss scans. It is made, filled and emptied through the safe crate.
//! Two calls go past it, each for one reason:
//!
//! - the search. In C++ it is `const` and may run on many threads at once; the safe crate's needs `&mut`, which would put
//!   all askers of a collection in one queue.
//! - the number of threads. Faiss shares the queries of one call among OpenMP threads. We ask one query per call, so that
//!   helpers could only spin beside it; and one asker must not take every core. OpenMP keeps the setting per calling
//!   thread, so it is set to one before each search. `OMP_NUM_THREADS` in the environment is not needed.

use std::ffi::{CStr, c_int};

use faiss::index::BinaryIndexImpl;
use faiss::selector::IdSelector;
use faiss::{Idx, Index, index_binary_factory};

use crate::{Code64, Error};

/// A binary flat index of 64-bit codes. A code's position is its place in the order of adding.
pub(crate) struct FlatIndex {
    faiss: BinaryIndexImpl,
}

impl FlatIndex {
    /// Tells whether there is an engine: here there is.
    pub(crate) fn available() -> Result<(), Error> {
        Ok(())
    }

    /// Returns an empty index.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            faiss: index_binary_factory(64, "BFlat").map_err(engine)?,
        })
    }

    /// Returns the number of codes.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.faiss.ntotal()).unwrap_or(usize::MAX)
    }

    /// Adds codes at the end.
    pub(crate) fn add(&mut self, codes: &[Code64]) -> Result<(), Error> {
        let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_bytes()).collect();
        self.faiss.add(&bytes).map_err(engine)
    }

    /// Returns the code at a position.
    pub(crate) fn code_at(&self, position: usize) -> Result<Code64, Error> {
        // Faiss itself does not look whether the position is there
        if position >= self.len() {
            return Err(Error::EngineAnswer);
        }
        let mut bytes = [0; 8];
        self.faiss
            .reconstruct(Idx::new(position as u64), &mut bytes)
            .map_err(engine)?;
        Ok(Code64(u64::from_le_bytes(bytes)))
    }

    /// Takes out the codes at some positions; the others move up and keep their order.
    pub(crate) fn remove(&mut self, positions: &[usize]) -> Result<(), Error> {
        let positions: Vec<Idx> = positions.iter().map(|&position| Idx::new(position as u64)).collect();
        let selector = IdSelector::batch(&positions).map_err(engine)?;
        self.faiss.remove_ids(&selector).map_err(engine).map(|_removed| ())
    }

    /// Returns the `k` nearest codes as (distance, position), nearest first. Which of several at the last distance are
    /// among them is Faiss's choice.
    pub(crate) fn search(&self, code: Code64, k: usize) -> Result<Vec<(u32, usize)>, Error> {
        let k = k.min(self.len());
        if k == 0 {
            return Ok(Vec::new());
        }
        let query = code.to_bytes();
        let mut distances = vec![0i32; k];
        let mut positions = vec![-1i64; k];
        knn(&self.faiss, &query, &mut distances, &mut positions)?;
        distances
            .into_iter()
            .zip(positions)
            .map(
                |(distance, position)| match (u32::try_from(distance), usize::try_from(position)) {
                    (Ok(distance @ 0..=64), Ok(position)) if position < self.len() => Ok((distance, position)),
                    _ => Err(Error::EngineAnswer),
                },
            )
            .collect()
    }
}

fn engine(error: faiss::error::Error) -> Error {
    Error::Engine {
        reason: error.to_string(),
    }
}

/// Fills `distances` and `positions`, of one length, with the nearest codes to one query.
#[expect(
    unsafe_code,
    reason = "the safe crate has no shared search on a binary index; see the module's essay"
)]
fn knn(index: &BinaryIndexImpl, query: &[u8; 8], distances: &mut [i32], positions: &mut [i64]) -> Result<(), Error> {
    unsafe extern "C" {
        // of libgomp, which faiss-sys links
        fn omp_set_num_threads(threads: c_int);
    }

    let k = distances.len().min(positions.len());
    if index.d() != 64 || k == 0 {
        return Err(Error::EngineAnswer);
    }
    let k = i64::try_from(k).map_err(|_| Error::EngineAnswer)?;

    // SAFETY: the function takes a positive number and changes a setting of the calling thread only.
    unsafe { omp_set_num_threads(1) };

    // SAFETY: `inner_ptr` is a live index: it is freed when `index` is dropped, and we borrow it. The index has 64 bits
    // (checked above), so Faiss reads the 8 bytes of `query` for its one query, and writes `k` values to each output,
    // which both have that many. `IndexBinaryFlat::search` is `const` and keeps no state, so that shared borrows on other
    // threads may search as well; adding and removing take `&mut`, which the borrow checker keeps apart from us.
    // C++ exceptions do not cross: the C layer catches them and returns a code.
    let status = unsafe {
        faiss_sys::faiss_IndexBinary_search(
            index.inner_ptr(),
            1,
            query.as_ptr(),
            k,
            distances.as_mut_ptr(),
            positions.as_mut_ptr(),
        )
    };
    if status == 0 {
        return Ok(());
    }

    // SAFETY: takes nothing; returns null or the message of this thread's last failed call.
    let message = unsafe { faiss_sys::faiss_get_last_error() };
    let reason = if message.is_null() {
        String::from("no message")
    } else {
        // SAFETY: not null, ends in a zero byte, and lives until this thread's next call, which comes after the copy.
        unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned()
    };
    Err(Error::Engine { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_by_position_and_by_distance() {
        let mut index = FlatIndex::new().unwrap();
        assert_eq!(index.search(Code64(0), 3).unwrap(), []);
        index.add(&[Code64(0b1111), Code64(u64::MAX), Code64(0b1)]).unwrap();
        assert_eq!(index.len(), 3);
        assert_eq!(index.code_at(1).unwrap(), Code64(u64::MAX));
        assert_eq!(index.code_at(3), Err(Error::EngineAnswer));
        assert_eq!(index.search(Code64(0), 10).unwrap(), [(1, 2), (4, 0), (64, 1)]);
        assert_eq!(index.search(Code64(0), 2).unwrap(), [(1, 2), (4, 0)]);
    }

    #[test]
    fn removed_codes_leave_and_the_others_move_up() {
        let mut index = FlatIndex::new().unwrap();
        index.add(&(0..10).map(Code64).collect::<Vec<_>>()).unwrap();
        index.remove(&[0, 3, 9]).unwrap();
        let left: Vec<u64> = (0..index.len())
            .map(|position| index.code_at(position).unwrap().0)
            .collect();
        assert_eq!(left, [1, 2, 4, 5, 6, 7, 8]);
    }
}
