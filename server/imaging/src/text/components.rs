//! Connected components of a mask (8 neighbours), from the runs of its rows: one pass, memory by runs, not by pixels.

/// A box around connected pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) left: u32,
    pub(super) top: u32,
    /// Behind the last column and row.
    pub(super) right: u32,
    pub(super) bottom: u32,
    pub(super) pixels: u32,
}

impl Component {
    pub(super) fn width(&self) -> u32 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// Grows the box by another.
    pub(super) fn join(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.pixels = self.pixels.saturating_add(other.pixels);
    }
}

/// More runs than this are noise.
const MOST_RUNS: usize = 2_000_000;

/// Returns the components of a mask; `None` where it is noise.
pub(super) fn components(mask: &[bool], width: usize) -> Option<Vec<Component>> {
    let mut parents: Vec<u32> = Vec::new();
    let mut boxes: Vec<Component> = Vec::new();
    let mut above: Vec<(u32, u32, u32)> = Vec::new();
    for (y, row) in (0u32..).zip(mask.chunks_exact(width.max(1))) {
        let mut here: Vec<(u32, u32, u32)> = Vec::new();
        let mut candidates = above.iter().peekable();
        let mut x = 0;
        while let Some(from) = row.get(x..).and_then(|rest| rest.iter().position(|on| *on)) {
            let from = x + from;
            let len = row.get(from..).and_then(|rest| rest.iter().position(|on| !*on));
            let to = len.map_or(row.len(), |len| from + len);
            x = to;
            let (left, right) = (u32::try_from(from).ok()?, u32::try_from(to).ok()?);
            let label = u32::try_from(parents.len()).ok()?;
            parents.push(label);
            boxes.push(Component {
                left,
                top: y,
                right,
                bottom: y + 1,
                pixels: right - left,
            });
            here.push((left, right, label));
            // runs above that touch, corners too
            while candidates.next_if(|(_, end, _)| *end < left).is_some() {}
            let mut ahead = candidates.clone();
            while let Some((start, _, other)) = ahead.next().filter(|(start, ..)| *start <= right) {
                let _ = start;
                unite(&mut parents, label, *other);
            }
        }
        if boxes.len() > MOST_RUNS {
            return None;
        }
        above = here;
    }
    let mut out: Vec<Option<Component>> = vec![None; boxes.len()];
    for (label, found) in (0u32..).zip(&boxes) {
        let root = root(&mut parents, label);
        match out.get_mut(usize::try_from(root).ok()?)? {
            Some(whole) => whole.join(found),
            empty => *empty = Some(*found),
        }
    }
    Some(out.into_iter().flatten().collect())
}

fn root(parents: &mut [u32], mut at: u32) -> u32 {
    loop {
        let up = |n: u32| {
            usize::try_from(n)
                .ok()
                .and_then(|n| parents.get(n).copied())
                .unwrap_or(n)
        };
        let parent = up(at);
        if parent == at {
            return at;
        }
        let grand = up(parent);
        if let Some(place) = usize::try_from(at).ok().and_then(|n| parents.get_mut(n)) {
            *place = grand;
        }
        at = grand;
    }
}

fn unite(parents: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(parents, a), root(parents, b));
    let (low, high) = (a.min(b), a.max(b));
    if let Some(place) = usize::try_from(high).ok().and_then(|n| parents.get_mut(n)) {
        *place = low;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flood(mask: &[bool], width: usize) -> usize {
        let height = mask.len() / width;
        let mut seen = vec![false; mask.len()];
        let mut count = 0;
        for start in 0..mask.len() {
            if !mask[start] || seen[start] {
                continue;
            }
            count += 1;
            let mut open = vec![start];
            seen[start] = true;
            while let Some(at) = open.pop() {
                let (x, y) = (at % width, at / width);
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        let next = ny * width + nx;
                        if mask[next] && !seen[next] {
                            seen[next] = true;
                            open.push(next);
                        }
                    }
                }
            }
        }
        count
    }

    proptest! {
        #[test]
        fn components_are_those_of_a_flood(bits in prop::collection::vec(prop::bool::weighted(0.4), 13 * 11)) {
            let found = components(&bits, 13).unwrap();
            prop_assert_eq!(found.len(), flood(&bits, 13));
            let pixels: u32 = found.iter().map(|c| c.pixels).sum();
            prop_assert_eq!(pixels as usize, bits.iter().filter(|b| **b).count());
        }
    }
}
