//! What stands in the place of Faiss when the program is built without it: nothing.

use crate::{Code64, Error};

/// An index that cannot be made.
pub(crate) enum FlatIndex {}

impl FlatIndex {
    pub(crate) fn available() -> Result<(), Error> {
        Err(Error::NotBuilt)
    }

    pub(crate) fn new() -> Result<Self, Error> {
        Err(Error::NotBuilt)
    }

    pub(crate) fn len(&self) -> usize {
        match *self {}
    }

    pub(crate) fn add(&mut self, _codes: &[Code64]) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn code_at(&self, _position: usize) -> Result<Code64, Error> {
        match *self {}
    }

    pub(crate) fn remove(&mut self, _positions: &[usize]) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn search(&self, _code: Code64, _k: usize) -> Result<Vec<(u32, usize)>, Error> {
        match *self {}
    }
}
