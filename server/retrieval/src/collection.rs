//! One collection's codes of one model: Faiss holds the codes by position, this holds which image stands where.
//!
//! Faiss cannot change or take out one code of a flat index cheaply, so an image that leaves or gets another code leaves
//! its old position behind, dead: no image claims it any more. Searches step over dead positions; when a quarter of
//! them are dead they are removed in one go.

use std::collections::{BTreeMap, HashMap};

#[cfg(feature = "faiss")]
use crate::faiss_index::FlatIndex;
#[cfg(not(feature = "faiss"))]
use crate::not_built::FlatIndex;
use crate::{Code64, Error};

/// Dead positions up to this number are never worth a clean-up.
const FEW: usize = 256;

/// The codes of one collection, made by one model.
pub(crate) struct CollectionIndex {
    flat: FlatIndex,
    /// The image that was added at each position.
    images: Vec<i64>,
    /// Where each image stands now. A position is alive if the image added there stands there.
    positions: HashMap<i64, usize>,
}

impl CollectionIndex {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            flat: FlatIndex::new()?,
            images: Vec::new(),
            positions: HashMap::new(),
        })
    }

    /// Returns the number of images.
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Adds images with their codes; an image that is there gets the new code. The last of several rows of one image counts.
    pub(crate) fn insert(&mut self, rows: &[(i64, Code64)]) -> Result<(), Error> {
        let rows: BTreeMap<i64, Code64> = rows.iter().copied().collect();
        let mut fresh = Vec::with_capacity(rows.len());
        for (image, code) in rows {
            match self.positions.get(&image) {
                // a job that runs twice changes nothing
                Some(&position) if self.flat.code_at(position)? == code => {}
                _ => fresh.push((image, code)),
            }
        }
        let codes: Vec<Code64> = fresh.iter().map(|(_, code)| *code).collect();
        self.flat.add(&codes)?;
        for (image, _) in fresh {
            self.positions.insert(image, self.images.len());
            self.images.push(image);
        }
        self.clean_up()
    }

    /// Takes images out; those that are not there are passed over. From here on no search finds them.
    pub(crate) fn remove(&mut self, images: &[i64]) -> Result<(), Error> {
        for image in images {
            self.positions.remove(image);
        }
        self.clean_up()
    }

    /// Returns the `k` images nearest to a code among those that `keep` lets pass, as (distance, image), in that order.
    ///
    /// Faiss cuts ties as it likes, so a first answer may hold the wrong ones of several images at the last distance.
    /// Everything nearer than the farthest code it returned is surely there; the question is put again with more room
    /// until `k` such images are, or the whole index was returned.
    pub(crate) fn search(&self, code: Code64, k: usize, keep: &dyn Fn(i64) -> bool) -> Result<Vec<(u32, i64)>, Error> {
        let total = self.flat.len();
        let mut room = k.saturating_add(16);
        loop {
            let found = self.flat.search(code, room)?;
            let whole = found.len() >= total;
            let farthest = found.last().map_or(0, |(distance, _)| *distance);
            let mut hits: Vec<(u32, i64)> = found
                .into_iter()
                .filter(|(distance, _)| whole || *distance < farthest)
                .filter_map(|(distance, position)| Some((distance, self.image_at(position)?)))
                .filter(|(_, image)| keep(*image))
                .collect();
            if whole || hits.len() >= k {
                hits.sort_unstable();
                hits.truncate(k);
                return Ok(hits);
            }
            room = room.saturating_mul(4);
        }
    }

    /// Returns the image that stands at a position, if the position is alive.
    fn image_at(&self, position: usize) -> Option<i64> {
        let image = self.images.get(position)?;
        (self.positions.get(image) == Some(&position)).then_some(*image)
    }

    fn clean_up(&mut self) -> Result<(), Error> {
        let dead = self.images.len() - self.positions.len();
        if dead <= FEW || dead * 4 < self.images.len() {
            return Ok(());
        }
        let dead: Vec<usize> = (0..self.images.len())
            .filter(|&position| self.image_at(position).is_none())
            .collect();
        self.flat.remove(&dead)?;
        let mut images = Vec::with_capacity(self.positions.len());
        for (position, image) in self.images.iter().enumerate() {
            if let Some(stands) = self.positions.get_mut(image)
                && *stands == position
            {
                // lower than `position` from now on, so that no later dead entry of this image can equal it
                *stands = images.len();
                images.push(*image);
            }
        }
        self.images = images;
        Ok(())
    }
}
