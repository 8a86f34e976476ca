//! One walk over the structure of a data set, shared by everything that reads: the guard and the header parser cannot
//! disagree about what an element is.
//!
//! Each declared length is compared with what is there before anything acts on it, sequences of defined and of undefined
//! length are entered alike, and depth, number of elements and size of the header are bounded. The walk itself reads
//! element headers only; what becomes of values is the visitor's affair.

use dicom_core::dictionary::VirtualVr;
use dicom_core::{Tag, VR};

use super::element::{Head, ITEM, ITEM_DELIMITER, NoHead, PIXEL_DATA, SEQUENCE_DELIMITER, Syntax, head};
use super::layout::{Fragment, PixelData};
use super::window::Window;
use super::{Error, Limits};

/// What happens at each element. The methods come in document order.
pub(super) trait Visitor {
    /// A value of defined length lies where `head` says.
    fn value(&mut self, _window: &mut Window<'_>, _head: &Head, _syntax: Syntax) -> Result<(), Error> {
        Ok(())
    }
    /// A sequence begins.
    fn begin_sequence(&mut self, _tag: Tag) {}
    /// An item of the innermost sequence begins.
    fn begin_item(&mut self) {}
    /// The innermost item ends.
    fn end_item(&mut self) {}
    /// The innermost sequence ends.
    fn end_sequence(&mut self) {}
    /// Encapsulated pixel data inside an item (an icon).
    fn fragments(&mut self, _window: &mut Window<'_>, _tag: Tag, _vr: VR, _found: &Fragments) -> Result<(), Error> {
        Ok(())
    }
}

/// The visitor that only guards.
pub(super) struct Guard;
impl Visitor for Guard {}

/// Items of encapsulated pixel data, PS3.5 A.4.
pub(super) struct Fragments {
    pub(super) basic_offset_table: Vec<u32>,
    pub(super) fragments: Vec<Fragment>,
    pub(super) end: u64,
    /// The source ends after a whole fragment, where the delimiter should stand.
    pub(super) unterminated: bool,
}

/// What the top level of a data set holds.
#[derive(Default)]
pub(super) struct Top {
    pub(super) pixel_data: Option<PixelData>,
    pub(super) tail_offset: Option<u64>,
    pub(super) trailing_bytes: u64,
}

pub(super) struct Walk<'a> {
    pub(super) window: Window<'a>,
    limits: Limits,
    elements: u64,
    header_bytes: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(window: Window<'a>, limits: &Limits) -> Self {
        Self {
            window,
            limits: limits.clone(),
            elements: 0,
            header_bytes: 0,
        }
    }

    fn count(&mut self) -> Result<(), Error> {
        self.elements += 1;
        let limit = self.limits.items;
        if self.elements > limit {
            Err(Error::TooLarge {
                what: "elements and items",
                limit,
            })
        } else {
            Ok(())
        }
    }

    /// Counts the bytes of an element outside of the pixel data; for a sequence of undefined length its header only.
    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        self.header_bytes = self.header_bytes.saturating_add(bytes);
        let limit = self.limits.header_bytes;
        if self.header_bytes > limit {
            Err(Error::TooLarge { what: "header", limit })
        } else {
            Ok(())
        }
    }

    /// Walks a whole data set from `start` to the end of the source.
    pub(super) fn top(&mut self, start: u64, syntax: Syntax, visitor: &mut dyn Visitor) -> Result<Top, Error> {
        let end = self.window.len();
        let mut top = Top::default();
        let mut before: Option<Tag> = None;
        let mut at = start;
        while at < end {
            let found = head(&mut self.window, at, end, syntax)?;
            let seen_pixels = top.pixel_data.is_some();
            if self.is_trailing(at, end, &found, before, seen_pixels)? {
                top.trailing_bytes = end - at;
                break;
            }
            let head = match found {
                Ok(head) => head,
                Err(NoHead::Short) => return Err(Error::CutOff { offset: at }),
                Err(NoHead::Nonsense) => {
                    return Err(Error::Malformed {
                        offset: at,
                        reason: "no element where one must be",
                    });
                }
            };
            self.count()?;
            // a delimiter that closes nothing: passed over, as other readers do
            if head.tag.0 == 0xFFFE {
                if head.len != 0 {
                    return Err(Error::Malformed {
                        offset: at,
                        reason: "item outside of a sequence",
                    });
                }
                at = head.value_offset;
                continue;
            }
            if is_top_pixel_data(head.tag) {
                if seen_pixels {
                    return Err(Error::Malformed {
                        offset: at,
                        reason: "pixel data twice",
                    });
                }
                let (pixels, next) = self.pixel_data(at, &head, end, syntax)?;
                top.pixel_data = Some(pixels);
                at = next;
            } else {
                if seen_pixels && top.tail_offset.is_none() {
                    top.tail_offset = Some(at);
                }
                at = self.element(at, &head, end, syntax, 0, visitor)?;
            }
            before = Some(head.tag);
        }
        Ok(top)
    }

    /// Returns whether nothing from `at` on is an element: padding with zeros anywhere, and after the pixel data
    /// whatever does not read as one. Before them nonsense is an error, for it hides what comes after.
    fn is_trailing(
        &mut self,
        at: u64,
        end: u64,
        found: &Result<Head, NoHead>,
        before: Option<Tag>,
        seen_pixels: bool,
    ) -> Result<bool, Error> {
        let Some(before) = before else { return Ok(false) };
        Ok(match found {
            Ok(head) if head.tag == Tag(0, 0) => true,
            Ok(head) => {
                let fits = head.is_undefined() || head.end() <= end;
                let in_order = head.tag > before;
                // group FFFC padding, FFFA signatures, odd groups of makers and the rest of 7FE0 may follow the pixels
                let may_follow = matches!(head.tag.0, 0x7FE0 | 0xFFFA | 0xFFFC | 0xFFFE) || head.tag.0 % 2 == 1;
                seen_pixels && !(fits && head.sure) && !(in_order && may_follow)
            }
            Err(NoHead::Nonsense) => seen_pixels,
            Err(NoHead::Short) => {
                let left = usize::try_from(end - at).unwrap_or(0).min(12);
                let zeros = self.window.peek(at, left)?.is_some_and(|b| b.iter().all(|b| *b == 0));
                zeros || (seen_pixels && left < 4)
            }
        })
    }

    fn pixel_data(&mut self, at: u64, head: &Head, end: u64, syntax: Syntax) -> Result<(PixelData, u64), Error> {
        if head.is_undefined() {
            let found = self.fragments(at, head.value_offset, end, syntax)?;
            let Fragments {
                basic_offset_table,
                fragments,
                end: end_offset,
                unterminated,
            } = found;
            return Ok((
                PixelData::Encapsulated {
                    element_offset: at,
                    end_offset,
                    basic_offset_table,
                    fragments,
                    unterminated,
                },
                end_offset,
            ));
        }
        if head.end() > end {
            return Err(Error::CutOff { offset: at });
        }
        let native = PixelData::Native {
            tag: head.tag,
            vr: pixel_vr(head),
            element_offset: at,
            value_offset: head.value_offset,
            value_len: u64::from(head.len),
        };
        Ok((native, head.end()))
    }

    /// Walks one element and returns where the next begins.
    fn element(
        &mut self,
        at: u64,
        head: &Head,
        end: u64,
        syntax: Syntax,
        depth: u16,
        visitor: &mut dyn Visitor,
    ) -> Result<u64, Error> {
        if !head.is_undefined() && head.end() > end {
            return Err(self.overrun(at, head.end()));
        }
        self.spend(head.value_offset - at)?;
        let inner = if head.from_un { Syntax::IMPLICIT_LITTLE } else { syntax };
        let sequence = head.vr == VirtualVr::Exact(VR::SQ);
        if head.is_undefined() {
            // Encapsulated pixels of an icon; every other undefined length is a sequence, and if it is called UN then
            // one of implicit VR (PS3.5 6.2.2, note).
            if head.tag == PIXEL_DATA || matches!(head.vr, VirtualVr::Exact(VR::OB | VR::OW)) && syntax.explicit {
                let found = self.fragments(at, head.value_offset, end, syntax)?;
                if found.unterminated {
                    return Err(Error::CutOff { offset: at });
                }
                self.spend(found.end - head.value_offset)?;
                visitor.fragments(&mut self.window, head.tag, pixel_vr(head), &found)?;
                return Ok(found.end);
            }
            let un = head.vr == VirtualVr::Exact(VR::UN) || head.from_un;
            let inner = if un { Syntax::IMPLICIT_LITTLE } else { syntax };
            return self.sequence(at, head, end, inner, depth, visitor);
        }
        if sequence && self.looks_like_items(head, inner)? {
            // what a sender called UN may hold anything, so it is tried first and else kept as it is
            let guarded = !head.from_un || self.try_sequence(at, head, inner, depth)?;
            if guarded {
                return self.sequence(at, head, head.end(), inner, depth, visitor);
            }
        } else if sequence && head.len != 0 && syntax.explicit && !head.from_un && head.sure {
            return Err(Error::Malformed {
                offset: at,
                reason: "sequence that does not begin with an item",
            });
        }
        self.spend(u64::from(head.len))?;
        visitor.value(&mut self.window, head, inner)?;
        Ok(head.end())
    }

    fn looks_like_items(&mut self, head: &Head, syntax: Syntax) -> Result<bool, Error> {
        if head.len == 0 {
            return Ok(true);
        }
        let first = self.window.peek(head.value_offset, 8)?;
        Ok(head.len >= 8 && first.is_some_and(|b| [ITEM, SEQUENCE_DELIMITER].contains(&syntax.tag(b))))
    }

    fn try_sequence(&mut self, at: u64, head: &Head, syntax: Syntax, depth: u16) -> Result<bool, Error> {
        let (elements, bytes) = (self.elements, self.header_bytes);
        let tried = self.sequence(at, head, head.end(), syntax, depth, &mut Guard);
        (self.elements, self.header_bytes) = (elements, bytes);
        match tried {
            Ok(_) => Ok(true),
            Err(Error::CutOff { .. } | Error::Malformed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Walks the items of a sequence. `end` is the end of the sequence where its length is defined, else of what
    /// encloses it.
    fn sequence(
        &mut self,
        at: u64,
        head: &Head,
        end: u64,
        syntax: Syntax,
        depth: u16,
        visitor: &mut dyn Visitor,
    ) -> Result<u64, Error> {
        let limit = self.limits.depth;
        if depth >= limit {
            return Err(Error::TooDeep { limit });
        }
        visitor.begin_sequence(head.tag);
        let mut pos = head.value_offset;
        loop {
            if pos == end && !head.is_undefined() {
                break;
            }
            let Some((tag, len)) = self.item_head(pos, end, syntax)? else {
                return Err(self.overrun(at, pos.saturating_add(8)));
            };
            self.count()?;
            self.spend(8)?;
            let start = pos.saturating_add(8);
            match tag {
                SEQUENCE_DELIMITER => {
                    // in a sequence of defined length it closes nothing; what follows must be items still
                    pos = start;
                    if head.is_undefined() {
                        break;
                    }
                }
                ITEM => {
                    visitor.begin_item();
                    pos = self.item(pos, start, len, end, syntax, depth + 1, visitor)?;
                    visitor.end_item();
                }
                // the item before ended by its length and says so once more
                ITEM_DELIMITER => pos = start,
                _ => {
                    return Err(Error::Malformed {
                        offset: pos,
                        reason: "something else than an item in a sequence",
                    });
                }
            }
        }
        visitor.end_sequence();
        Ok(pos)
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one step of a recursive walk")]
    fn item(
        &mut self,
        at: u64,
        start: u64,
        len: u32,
        end: u64,
        syntax: Syntax,
        depth: u16,
        visitor: &mut dyn Visitor,
    ) -> Result<u64, Error> {
        let undefined = len == super::element::UNDEFINED;
        let item_end = if undefined {
            end
        } else {
            start.saturating_add(u64::from(len))
        };
        if item_end > end {
            return Err(self.overrun(at, item_end));
        }
        let mut pos = start;
        loop {
            if pos == item_end && !undefined {
                return Ok(pos);
            }
            let head = match head(&mut self.window, pos, item_end, syntax)? {
                Ok(head) => head,
                Err(NoHead::Short) => return Err(self.overrun(pos, pos.saturating_add(8))),
                Err(NoHead::Nonsense) => {
                    return Err(Error::Malformed {
                        offset: pos,
                        reason: "no element where one must be",
                    });
                }
            };
            self.count()?;
            match head.tag {
                ITEM_DELIMITER => {
                    self.spend(8)?;
                    pos = head.value_offset;
                    if undefined {
                        return Ok(pos);
                    }
                }
                // a sender forgot to close the item; the sequence reads its own delimiter
                SEQUENCE_DELIMITER if undefined => return Ok(pos),
                Tag(0xFFFE, _) => {
                    return Err(Error::Malformed {
                        offset: pos,
                        reason: "item inside of an item",
                    });
                }
                _ => pos = self.element(pos, &head, item_end, syntax, depth, visitor)?,
            }
        }
    }

    fn fragments(&mut self, at: u64, start: u64, end: u64, syntax: Syntax) -> Result<Fragments, Error> {
        let mut pos = start;
        let mut basic_offset_table = None;
        let mut fragments = Vec::new();
        loop {
            let Some((tag, len)) = self.item_head(pos, end, syntax)? else {
                if pos == end && end == self.window.len() && !fragments.is_empty() {
                    return Ok(Fragments {
                        basic_offset_table: basic_offset_table.unwrap_or_default(),
                        fragments,
                        end: pos,
                        unterminated: true,
                    });
                }
                return Err(self.overrun(at, pos.saturating_add(8)));
            };
            let value = pos.saturating_add(8);
            let next = value.saturating_add(u64::from(len));
            match tag {
                SEQUENCE_DELIMITER => {
                    let basic_offset_table = basic_offset_table.unwrap_or_default();
                    return Ok(Fragments {
                        basic_offset_table,
                        fragments,
                        end: value,
                        unterminated: false,
                    });
                }
                ITEM if len == super::element::UNDEFINED => {
                    return Err(Error::Malformed {
                        offset: pos,
                        reason: "fragment of undefined length",
                    });
                }
                ITEM if next > end => return Err(self.overrun(pos, next)),
                ITEM if basic_offset_table.is_none() => {
                    let limit = self.limits.items;
                    if u64::from(len) / 4 > limit {
                        return Err(Error::TooLarge {
                            what: "basic offset table",
                            limit,
                        });
                    }
                    let table = self.window.value(value, len)?;
                    basic_offset_table = Some(table.chunks_exact(4).map(|b| syntax.u32(b)).collect());
                }
                ITEM => {
                    self.count()?;
                    fragments.push(Fragment { offset: value, len });
                }
                _ => {
                    return Err(Error::Malformed {
                        offset: pos,
                        reason: "something else than a fragment in pixel data",
                    });
                }
            }
            pos = next;
        }
    }

    fn item_head(&mut self, at: u64, end: u64, syntax: Syntax) -> Result<Option<(Tag, u32)>, Error> {
        if end.saturating_sub(at) < 8 {
            return Ok(None);
        }
        let bytes = self.window.peek(at, 8)?;
        Ok(bytes.map(|b| (syntax.tag(b), b.get(4..).map_or(0, |b| syntax.u32(b)))))
    }

    /// Tells an object that was cut off from one whose inner lengths contradict each other.
    fn overrun(&self, offset: u64, needs: u64) -> Error {
        if needs > self.window.len() {
            Error::CutOff { offset }
        } else {
            Error::Malformed {
                offset,
                reason: "value longer than what encloses it",
            }
        }
    }
}

/// The three elements that hold an image's samples, PS3.3 C.7.6.3 and C.7.6.24.
pub(super) fn is_top_pixel_data(tag: Tag) -> bool {
    tag.0 == 0x7FE0 && matches!(tag.1, 0x0008 | 0x0009 | 0x0010)
}

fn pixel_vr(head: &Head) -> VR {
    match head.vr {
        VirtualVr::Exact(VR::UN) | VirtualVr::Px | VirtualVr::Ox | VirtualVr::Xs | VirtualVr::Lt => VR::OW,
        VirtualVr::Exact(vr) => vr,
        _ => VR::OW,
    }
}
