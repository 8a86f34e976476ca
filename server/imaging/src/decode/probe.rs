//! What a code stream announces, read before a codec may believe it.

/// The announced picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) components: u16,
    /// Bits of a sample.
    pub(crate) precision: u16,
    pub(crate) signed: bool,
    /// Components share no size (chroma is subsampled).
    pub(crate) subsampled: bool,
    /// JPEG: components are named R, G, B, or an Adobe marker says that nothing was transformed.
    pub(crate) says_rgb: bool,
    /// JPEG: a process without cosine transformation.
    pub(crate) lossless: bool,
    /// JPEG and JPEG-LS: the first scan holds all components.
    pub(crate) interleaved: bool,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|b| u16::from_be_bytes(*b))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
}

/// Reads the markers of JPEG (ISO 10918-1 annex B) or JPEG-LS (ISO 14495-1 annex C) up to the first scan.
pub(crate) fn jpeg(stream: &[u8]) -> Option<Announced> {
    let mut at = 2;
    let mut found: Option<Announced> = None;
    let mut adobe_none = false;
    if !stream.starts_with(&[0xFF, 0xD8]) {
        return None;
    }
    loop {
        while stream.get(at)? == &0xFF && stream.get(at + 1)? == &0xFF {
            at += 1;
        }
        if stream.get(at)? != &0xFF {
            return None;
        }
        let marker = *stream.get(at + 1)?;
        let len = usize::from(word(stream, at + 2)?);
        let body = stream.get(at + 4..at + 2 + len)?;
        match marker {
            // SOF of every process but DHT, JPG and DAC among them; F7 is that of JPEG-LS
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 => {
                let components = u16::from(*body.get(5)?);
                let each = body.get(6..6 + 3 * usize::from(components))?.chunks_exact(3);
                let names: Vec<u8> = each.clone().filter_map(|c| c.first().copied()).collect();
                let factors: Vec<u8> = each.filter_map(|c| c.get(1).copied()).collect();
                found = Some(Announced {
                    width: u32::from(word(body, 3)?),
                    height: u32::from(word(body, 1)?),
                    components,
                    precision: u16::from(*body.first()?),
                    signed: false,
                    subsampled: factors.windows(2).any(|pair| pair.first() != pair.last()),
                    says_rgb: matches!(names.as_slice(), b"RGB" | b"rgb"),
                    lossless: matches!(marker, 0xC3 | 0xC7 | 0xCB | 0xCF | 0xF7),
                    interleaved: true,
                });
            }
            0xEE if body.starts_with(b"Adobe") => adobe_none = body.get(11) == Some(&0),
            0xDA => {
                let mut announced = found?;
                announced.interleaved = u16::from(*body.first()?) == announced.components;
                announced.says_rgb |= adobe_none;
                return Some(announced);
            }
            _ => {}
        }
        at += 2 + len;
    }
}

/// Reads the SIZ marker of a JPEG 2000 code stream (ISO 15444-1 A.5.1), bare or within its file format.
pub(crate) fn jpeg_2000(stream: &[u8]) -> Option<Announced> {
    const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    let start = if stream.starts_with(&START) {
        0
    } else {
        stream
            .get(..stream.len().min(8192))?
            .windows(4)
            .position(|w| w == START)?
    };
    let siz = stream.get(start + 4..)?;
    let components = word(siz, 36)?;
    let each = siz.get(38..38 + 3 * usize::from(components))?.chunks_exact(3);
    let depths: Vec<u8> = each.clone().filter_map(|c| c.first().copied()).collect();
    let subsampled = each.clone().any(|c| c.get(1..) != Some(&[1, 1]));
    let first = *depths.first()?;
    Some(Announced {
        width: long(siz, 4)?.checked_sub(long(siz, 12)?)?,
        height: long(siz, 8)?.checked_sub(long(siz, 16)?)?,
        components,
        precision: depths.iter().map(|d| u16::from(d & 0x7F) + 1).max()?,
        signed: first & 0x80 != 0,
        subsampled,
        says_rgb: false,
        lossless: false,
        interleaved: true,
    })
}
