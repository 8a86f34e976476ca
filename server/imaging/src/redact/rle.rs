//! Writing RLE, PS3.5 annex G.

/// Encodes pixels (little endian, all samples of a pixel together) into one frame. `row` is the pixels of a row.
///
/// `width` is the bytes of a sample. `None` where that would take more than the fifteen segments that there may be.
pub(super) fn encode(pixels: &[u8], row: usize, samples: usize, width: usize) -> Option<Vec<u8>> {
    let count = samples.checked_mul(width).filter(|count| (1..=15).contains(count))?;
    let mut offsets = Vec::with_capacity(count);
    let mut body: Vec<u8> = Vec::with_capacity(pixels.len() / 2);
    let mut line = Vec::with_capacity(row);
    for sample in 0..samples {
        // the most significant byte is the first segment of a sample, G.2
        for byte in (0..width).rev() {
            offsets.push(u32::try_from(64 + body.len()).ok()?);
            // no run goes on over the end of a row, G.3.1
            for pixels in pixels.chunks(row * count) {
                line.clear();
                line.extend(pixels.iter().skip(sample * width + byte).step_by(count));
                pack(&line, &mut body);
            }
            if body.len() % 2 == 1 {
                body.push(0);
            }
        }
    }
    let mut out = Vec::with_capacity(64 + body.len());
    out.extend_from_slice(&u32::try_from(count).ok()?.to_le_bytes());
    offsets.resize(15, 0);
    out.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));
    out.append(&mut body);
    Some(out)
}

/// PackBits, G.3.1: runs of two and more, literals between them.
fn pack(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some(first) = rest.first() {
        let run = rest.iter().take(128).take_while(|byte| *byte == first).count();
        if run > 1 {
            out.push(u8::try_from(257 - run).unwrap_or(0));
            out.push(*first);
            rest = rest.get(run..).unwrap_or_default();
            continue;
        }
        // a literal ends where three equal bytes begin: two alone are no gain within it
        let three = rest.windows(3).position(|w| matches!(w, [a, b, c] if a == b && b == c));
        let literal = three.unwrap_or(rest.len()).clamp(1, 128);
        let (bytes, after) = rest.split_at(literal);
        out.push(u8::try_from(literal - 1).unwrap_or(0));
        out.extend_from_slice(bytes);
        rest = after;
    }
}
