//! Reading elements of an object by the names that scripts use.

use dicom_core::VR;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::private::PrivateDictionary;
use super::reference::{self, PrivateNames};
use super::{java, values, write};

/// An object, and where in it one stands.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) meta: Option<&'a InMemDicomObject>,
    /// The data sets around, from the top to the current one.
    pub(crate) stack: Vec<&'a InMemDicomObject>,
    /// Whether the object has pixel data: what follows it is not there for CTP.
    pub(crate) pixels: bool,
    pub(crate) private_names: PrivateNames,
    pub(crate) dictionary: &'a PrivateDictionary,
}

impl<'a> Reading<'a> {
    pub(crate) fn current(&self) -> Option<&'a InMemDicomObject> {
        self.stack.last().copied()
    }

    pub(crate) fn is_top(&self) -> bool {
        self.stack.len() <= 1
    }

    /// Returns an element of a data set, as far as CTP sees it.
    fn element(&self, data_set: &'a InMemDicomObject, tag: u32) -> Option<&'a InMemElement> {
        let top = self.stack.first().is_some_and(|top| std::ptr::eq(*top, data_set));
        if top && self.pixels && tag >= super::walk::PIXEL_DATA {
            return None;
        }
        data_set.get(values::tag(tag))
    }

    pub(crate) fn contains(&self, tag: u32) -> bool {
        self.current()
            .is_some_and(|data_set| self.element(data_set, tag).is_some())
    }

    /// Returns whether an element of the current data set is a sequence with items.
    pub(crate) fn has_items(&self, tag: u32) -> bool {
        let element = self.current().and_then(|data_set| self.element(data_set, tag));
        element
            .and_then(|element| element.value().items())
            .is_some_and(|items| !items.is_empty())
    }

    /// Returns the tag of a name in the current data set, 0 if there is none.
    pub(crate) fn resolve(&self, name: &str) -> u32 {
        self.current()
            .map_or(0, |data_set| reference::resolve(name, &self.private_names, data_set))
    }

    /// Returns the text of an element of the current data set by tag.
    pub(crate) fn text_of(&self, tag: u32) -> Option<String> {
        let data_set = self.current()?;
        let element = match tag < 0x0008_0000 {
            true => self.meta?.get(values::tag(tag))?,
            false => self.element(data_set, tag)?,
        };
        values::text_in(element, data_set, self.dictionary)
    }

    /// Returns the text of an element by any of its names; `None` is Java's null.
    pub(crate) fn text_in(&self, name: &str, this: u32, data_set: &'a InMemDicomObject) -> Option<String> {
        if name == "this" {
            return self.text_of(this);
        }
        let name = java::trim(name);
        if name.is_empty() {
            return None;
        }
        let (path, mut data_set) = match name.strip_prefix("root:") {
            Some(path) => (java::trim(path), *self.stack.first()?),
            None => (name, data_set),
        };
        let mut steps = path.split("::").peekable();
        while let Some(step) = steps.next() {
            let tag = reference::resolve(step, &self.private_names, data_set);
            if tag == 0 {
                return None;
            }
            let element = match self.meta {
                Some(meta) if tag < 0x0008_0000 => meta.get(values::tag(tag))?,
                _ => self.element(data_set, tag)?,
            };
            if steps.peek().is_none() {
                return values::text_in(element, data_set, self.dictionary);
            }
            if element.vr() != VR::SQ && !write::is_sequence(element) {
                return None;
            }
            data_set = element.value().items()?.first()?;
        }
        None
    }
}
