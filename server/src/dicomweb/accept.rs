//! Choosing the representation, PS3.18 8.7.
//!
//! A pure module: a header goes in, a typed choice comes out, and the table at the end is its specification. Clients write
//! these headers in many ways: parameter values quoted or not, a wildcard inside a multipart type, a transfer syntax given
//! twice, types in an order of which only the last can be met. So the whole list is read, sorted by `q`, and the first
//! entry that the resource can meet is taken. Where none can, the caller answers 406; nothing is ever sent in a type that the
//! client did not name or leave open.
//!
//! The `accept` query parameter (8.3.3.1) comes before the header. A bare `*/*` in the header beside it says nothing (every HTTP
//! library sends it), so then it is not read.

use isocenter_model::TransferSyntaxUid;
use isocenter_model::uid::transfer_syntax as ts;

/// A media type with its parameters, as in `Content-Type` or one entry of `Accept`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    essence: String,
    parameters: Vec<(String, String)>,
}

/// Splits at a separator, but not inside a quoted string (RFC 9110 5.6.4).
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.extend(text.get(start..at));
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut plain = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            plain.push(c);
            escaped = false;
        }
    }
    plain
}

impl MediaType {
    /// Parses a media type; `None` where there is no `type/subtype`. Names become lower case, quotes are taken off.
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = split_unquoted(text, ';').into_iter();
        let essence = pieces.next()?.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() || essence.contains(char::is_whitespace) {
            return None;
        }
        let parameters = pieces
            .filter_map(|piece| piece.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), unquoted(value)))
            .collect();
        Some(Self { essence, parameters })
    }

    /// Returns `type/subtype` in lower case.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// Returns a parameter's value. Where a broken header gives it twice, the first counts.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Whether one thing is sent by itself or as parts of `multipart/related`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packaging {
    /// The body is the thing.
    Single,
    /// `multipart/related`, also around one part.
    Multipart,
}

/// The transfer syntax that was asked for, 8.7.3.5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syntax {
    /// None was given.
    Unsaid,
    /// `*`: as stored.
    AsStored,
    /// This one.
    Uid(TransferSyntaxUid),
    /// Something that is no UID and that nothing can meet.
    Unknown,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How it is to be wrapped; `None` leaves it to us.
    pub packaging: Option<Packaging>,
    /// Type of the thing itself: `application/dicom`, `image/*`, `*/*`.
    pub media: String,
    /// The transfer syntax asked for.
    pub syntax: Syntax,
}

impl Wanted {
    fn parse(entry: &str) -> Option<(u32, Self)> {
        let media = MediaType::parse(entry)?;
        let thousandths = match media.parameter("q") {
            None => 1000,
            // An unreadable weight is no reason to refuse the type.
            Some(q) => q
                .trim()
                .parse::<f64>()
                .map_or(1000, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32),
        };
        let mut syntax = media.parameter("transfer-syntax").map(str::to_owned);
        let (packaging, kind) = match media.essence() {
            "multipart/related" | "multipart/*" => match media.parameter("type").and_then(MediaType::parse) {
                // Some write the part's parameters into the type, `type="image/jpeg; transfer-syntax=…"`.
                Some(inner) => {
                    syntax = syntax.or_else(|| inner.parameter("transfer-syntax").map(str::to_owned));
                    (Some(Packaging::Multipart), inner.essence)
                }
                None => (Some(Packaging::Multipart), "*/*".to_owned()),
            },
            "*/*" => (None, "*/*".to_owned()),
            other => (Some(Packaging::Single), other.to_owned()),
        };
        let syntax = match syntax.as_deref().map(str::trim) {
            // Under a wildcard no type was named that could have a default syntax.
            None if kind == "*/*" => Syntax::AsStored,
            None => Syntax::Unsaid,
            Some("*") => Syntax::AsStored,
            Some(uid) => TransferSyntaxUid::parse(uid).map_or(Syntax::Unknown, Syntax::Uid),
        };
        Some((
            thousandths,
            Self {
                packaging,
                media: kind,
                syntax,
            },
        ))
    }

    /// Returns whether a concrete type is one that this entry names.
    pub fn names(&self, concrete: &str) -> bool {
        match self.media.split_once('/') {
            Some(("*", "*")) => true,
            Some((kind, "*")) => concrete.split('/').next() == Some(kind),
            _ => self.media == concrete,
        }
    }
}

/// What a client will take, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept(Vec<Wanted>);

fn entries(text: &str) -> impl Iterator<Item = (u32, Wanted)> {
    let mut list: Vec<_> = split_unquoted(text, ',')
        .into_iter()
        .filter_map(Wanted::parse)
        .collect();
    list.retain(|(q, _)| *q > 0);
    list.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    list.into_iter()
}

impl Accept {
    /// Reads the `accept` query parameter (decoded) and the `Accept` header. With neither, anything goes.
    pub fn of(parameter: Option<&str>, header: Option<&str>) -> Self {
        let blank = |text: &&str| !text.trim().is_empty();
        let (parameter, header) = (parameter.filter(blank), header.filter(blank));
        let mut list: Vec<Wanted> = parameter
            .into_iter()
            .flat_map(entries)
            .map(|(_, wanted)| wanted)
            .collect();
        let says_something = |wanted: &Wanted| parameter.is_none() || wanted.media != "*/*";
        list.extend(
            header
                .into_iter()
                .flat_map(entries)
                .map(|(_, wanted)| wanted)
                .filter(says_something),
        );
        if parameter.is_none() && header.is_none() {
            list.push(Wanted {
                packaging: None,
                media: "*/*".into(),
                syntax: Syntax::AsStored,
            });
        }
        Self(list)
    }

    /// Returns the first entry that can be met, with what meets it.
    ///
    /// `single` says whether the answer is one item: a single part is dropped from the list otherwise (10.4.4).
    /// `open` is the packaging where the client left it open.
    pub fn choose<T>(
        &self,
        single: bool,
        open: Packaging,
        meet: impl Fn(&Wanted) -> Option<T>,
    ) -> Option<(Packaging, T)> {
        self.0.iter().find_map(|wanted| {
            let packaging = wanted.packaging.unwrap_or(open);
            if packaging == Packaging::Single && !single {
                return None;
            }
            meet(wanted).map(|met| (packaging, met))
        })
    }

    /// Returns whether any entry asks for a certain transfer syntax.
    pub fn names_a_syntax(&self) -> bool {
        self.0.iter().any(|wanted| matches!(wanted.syntax, Syntax::Uid(_)))
    }

    /// Returns whether DICOM JSON will do. `application/json` is an alias.
    pub fn takes_json(&self) -> bool {
        self.choose(true, Packaging::Single, |wanted| {
            let named = wanted.names("application/dicom+json") || wanted.names("application/json");
            (named && wanted.packaging != Some(Packaging::Multipart)).then_some(())
        })
        .is_some()
    }

    /// Returns the picture format for `/rendered` and `/thumbnail`; JPEG where the client left it open.
    pub fn picture(&self) -> Option<(Packaging, Picture)> {
        self.choose(true, Packaging::Single, |wanted| {
            [Picture::Jpeg, Picture::Png]
                .into_iter()
                .find(|picture| wanted.names(picture.media_type()))
        })
    }
}

/// Format of a rendered picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Picture {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
}

impl Picture {
    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// What has to be done to an instance before it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceForm {
    /// Nothing: the bytes as stored.
    AsStored,
    /// The data set is written again in Explicit VR Little Endian; native pixels stay what they are.
    Rewritten,
    /// Compressed pixels are decoded, and the whole is Explicit VR Little Endian.
    Decompressed,
}

/// Returns the media type of a single-frame bit stream in a syntax, PS3.18 Table 8.7.3-5.
pub fn media_of(syntax: &TransferSyntaxUid) -> &'static str {
    match syntax.as_str().strip_prefix("1.2.840.10008.1.2.") {
        Some("5") => "image/dicom-rle",
        Some("4.50" | "4.51" | "4.57" | "4.70") => "image/jpeg",
        Some("4.80" | "4.81") => "image/jls",
        Some("4.90" | "4.91") => "image/jp2",
        Some("4.92" | "4.93") => "image/jpx",
        Some("4.201" | "4.202" | "4.203") => "image/jphc",
        _ => "application/octet-stream",
    }
}

fn is_lossless(syntax: &TransferSyntaxUid) -> bool {
    let of_ours = ["5", "4.57", "4.70", "4.80", "4.90", "4.92", "4.201", "4.202"];
    syntax
        .as_str()
        .strip_prefix("1.2.840.10008.1.2.")
        .is_some_and(|tail| of_ours.contains(&tail))
}

/// Implicit VR and big endian never leave over HTTP, 8.7.3.5.2.
fn may_leave(syntax: &TransferSyntaxUid) -> bool {
    syntax.is_explicit_vr() && syntax.is_little_endian()
}

/// Returns how a stored instance meets what is wanted; `decodable` says whether its frames can be decoded here.
pub fn instance_form(wanted: &Wanted, stored: &TransferSyntaxUid, decodable: bool) -> Option<InstanceForm> {
    if !wanted.names("application/dicom") {
        return None;
    }
    let as_stored = if may_leave(stored) {
        InstanceForm::AsStored
    } else {
        InstanceForm::Rewritten
    };
    let explicit = if stored.as_str() == ts::EXPLICIT_VR_LITTLE_ENDIAN {
        Some(InstanceForm::AsStored)
    } else if stored.is_native() {
        Some(InstanceForm::Rewritten)
    } else {
        decodable.then_some(InstanceForm::Decompressed)
    };
    match &wanted.syntax {
        Syntax::AsStored => Some(as_stored),
        Syntax::Uid(uid) if uid == stored && may_leave(uid) => Some(InstanceForm::AsStored),
        Syntax::Uid(uid) if uid.as_str() == ts::EXPLICIT_VR_LITTLE_ENDIAN => explicit,
        Syntax::Uid(_) | Syntax::Unknown => None,
        // The default is Explicit VR Little Endian; what exists only in lossy form may stay as it is.
        Syntax::Unsaid if stored.is_native() || is_lossless(stored) => explicit.or(Some(as_stored)),
        Syntax::Unsaid => Some(as_stored),
    }
}

/// How the frames of one instance leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameForm {
    /// Type of a part.
    pub media: String,
    /// Transfer syntax named in the part's header; viewers choose their decoder by it.
    pub syntax: String,
    /// Whether the stored bit stream is decoded to native samples.
    pub decode: bool,
}

/// Returns how frames of an instance meet what is wanted.
pub fn frame_form(wanted: &Wanted, stored: &TransferSyntaxUid, decodable: bool) -> Option<FrameForm> {
    const OCTETS: &str = "application/octet-stream";
    let native = |decode| FrameForm {
        media: OCTETS.into(),
        syntax: ts::EXPLICIT_VR_LITTLE_ENDIAN.into(),
        decode,
    };
    if stored.is_native() {
        // Whatever the stored syntax was, what leaves is little endian samples.
        let fits = match &wanted.syntax {
            Syntax::Unsaid | Syntax::AsStored => true,
            Syntax::Uid(uid) => uid.as_str() == ts::EXPLICIT_VR_LITTLE_ENDIAN,
            Syntax::Unknown => false,
        };
        return (wanted.names(OCTETS) && fits).then(|| native(!stored.is_little_endian()));
    }
    let own_media = media_of(stored);
    let as_stored = |media: &str| FrameForm {
        media: media.into(),
        syntax: stored.to_string(),
        decode: false,
    };
    let whole = match &wanted.syntax {
        Syntax::AsStored => true,
        Syntax::Uid(uid) => uid == stored,
        Syntax::Unsaid => !wanted.names(OCTETS),
        Syntax::Unknown => return None,
    };
    if whole && wanted.names(own_media) {
        return Some(as_stored(own_media));
    }
    if whole && wanted.names(OCTETS) {
        // OHIF and the cornerstone loaders ask so, and read the syntax from the part's header.
        return Some(as_stored(OCTETS));
    }
    let wants_native = match &wanted.syntax {
        Syntax::Unsaid => true,
        Syntax::Uid(uid) => uid.as_str() == ts::EXPLICIT_VR_LITTLE_ENDIAN,
        _ => false,
    };
    (wants_native && wanted.names(OCTETS) && decodable).then(|| native(true))
}

#[cfg(test)]
mod tests;
