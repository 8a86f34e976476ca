//! Which pixels of a frame are hidden: a union of rectangles, kept as bands of rows with the same columns.

use std::ops::Range;

use isocenter_deid::{Frames, Region};

/// More regions of single frames than this are hidden in every frame: hiding more is safe, and no list of regions makes
/// the work per frame grow without bound.
const MOST_SINGLE: usize = 4096;

/// The hidden pixels of one frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mask {
    /// Rows, and the hidden columns in each of them: ascending, apart from each other, never empty.
    bands: Vec<(Range<u32>, Vec<Range<u32>>)>,
}

impl Mask {
    fn of<'a>(regions: impl Iterator<Item = &'a Region>, rows: u32, columns: u32) -> Self {
        let mut boxes: Vec<(Range<u32>, Range<u32>)> = regions
            .map(|region| {
                let end = |at: u32, len: u32, size: u32| at.min(size)..at.saturating_add(len).min(size);
                (end(region.y, region.height, rows), end(region.x, region.width, columns))
            })
            .filter(|(y, x)| !y.is_empty() && !x.is_empty())
            .collect();
        boxes.sort_by_key(|(y, x)| (y.start, x.start, y.end, x.end));
        boxes.dedup();
        let mut edges: Vec<u32> = boxes.iter().flat_map(|(y, _)| [y.start, y.end]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut bands: Vec<(Range<u32>, Vec<Range<u32>>)> = Vec::new();
        let mut open: Vec<(Range<u32>, Range<u32>)> = Vec::new();
        let mut waiting = boxes.into_iter().peekable();
        for pair in edges.windows(2) {
            let [from, to] = *pair else { continue };
            open.retain(|(y, _)| y.end > from);
            while let Some(next) = waiting.next_if(|(y, _)| y.start <= from) {
                open.push(next);
            }
            let columns = joined(open.iter().map(|(_, x)| x.clone()).collect());
            match bands.last_mut() {
                _ if columns.is_empty() => {}
                Some((y, before)) if y.end == from && *before == columns => y.end = to,
                _ => bands.push((from..to, columns)),
            }
        }
        Self { bands }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    pub(super) fn bands(&self) -> &[(Range<u32>, Vec<Range<u32>>)] {
        &self.bands
    }
}

fn joined(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut out: Vec<Range<u32>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// The masks of all frames; equal ones are made once.
pub(super) struct Masks<'a> {
    every: Vec<&'a Region>,
    single: Vec<&'a Region>,
    size: (u32, u32),
    last: (Vec<usize>, Mask),
}

impl<'a> Masks<'a> {
    pub(super) fn new(regions: &'a [Region], rows: u16, columns: u16) -> Self {
        let single = |region: &&Region| matches!(region.frames, Frames::Some(_));
        let (mut single, mut every): (Vec<_>, Vec<_>) = regions.iter().partition(single);
        if single.len() > MOST_SINGLE {
            every.append(&mut single);
        }
        let size = (u32::from(rows), u32::from(columns));
        let mask = Mask::of(every.iter().copied(), size.0, size.1);
        Self {
            every,
            single,
            size,
            last: (Vec::new(), mask),
        }
    }

    /// Returns the mask of a frame, counted from 0.
    pub(super) fn of_frame(&mut self, frame: u32) -> &Mask {
        let number = frame.saturating_add(1);
        let chosen: Vec<usize> = self
            .single
            .iter()
            .enumerate()
            .filter(|(_, region)| region.frames.contains(number))
            .map(|(n, _)| n)
            .collect();
        if chosen != self.last.0 {
            let single = chosen.iter().filter_map(|n| self.single.get(*n));
            let all = self.every.iter().chain(single).copied();
            self.last = (chosen.clone(), Mask::of(all, self.size.0, self.size.1));
        }
        &self.last.1
    }
}

#[cfg(test)]
pub(super) mod tests {
    use isocenter_deid::RegionSource;
    use proptest::prelude::*;

    use super::*;

    pub(in crate::redact) fn region(x: u32, y: u32, width: u32, height: u32) -> Region {
        Region {
            frames: Frames::All,
            x,
            y,
            width,
            height,
            source: RegionSource::Person,
        }
    }

    proptest! {
        #[test]
        fn a_mask_is_the_union_of_its_boxes(boxes in prop::collection::vec((0..20u32, 0..20u32, 0..9u32, 0..9u32), 0..8)) {
            let regions: Vec<Region> = boxes.iter().map(|(x, y, w, h)| region(*x, *y, *w, *h)).collect();
            let mask = Mask::of(regions.iter(), 16, 18);
            let mut seen = [[0u8; 18]; 16];
            for (rows, columns) in mask.bands() {
                for row in rows.clone() {
                    for x in columns.iter().cloned().flatten() {
                        seen[row as usize][x as usize] += 1;
                    }
                }
            }
            for y in 0..16u32 {
                for x in 0..18u32 {
                    let inside = boxes.iter().any(|(bx, by, w, h)| (*bx..bx + w).contains(&x) && (*by..by + h).contains(&y));
                    prop_assert_eq!(seen[y as usize][x as usize], u8::from(inside));
                }
            }
        }
    }

    #[test]
    fn a_frame_has_its_own_regions_and_those_of_all() {
        let own = Region {
            frames: Frames::Some(2..=3),
            ..region(4, 4, 1, 1)
        };
        let regions = [region(0, 0, 1, 1), own];
        let mut masks = Masks::new(&regions, 8, 8);
        let bands: Vec<usize> = (0..4).map(|frame| masks.of_frame(frame).bands().len()).collect();
        assert_eq!(bands, [1, 2, 2, 1]);
    }
}
