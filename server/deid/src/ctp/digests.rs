//! Replacements that are computed from a value: digests without a key as CTP makes them, and keyed ones in their place.
//!
//! CTP takes MD5 of the text and prints it as a decimal number. Who has a list of identifiers tries them all in seconds.
//! Strict mode prints 128 bits of a keyed digest instead, in the same form: same value, same replacement, but nobody
//! without the collection's key can test a guess.

use blowfish::Blowfish;
use blowfish::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use data_encoding::BASE64;
use md5::{Digest, Md5};

use super::evaluate::{Evaluator, Thrown, argument};
use super::expression::Call;
use super::java;
use crate::beyond;

/// Most characters of a UID, PS3.5 9.1.
pub(crate) const MOST_UID: usize = 64;
/// Digits of 128 bits.
pub(crate) const DIGITS: usize = 39;

/// Returns MD5 of a text as a decimal number.
pub(crate) fn md5_decimal(text: &str) -> String {
    u128::from_be_bytes(Md5::digest(text.as_bytes()).into()).to_string()
}

fn cut(text: String, most: Option<i32>) -> String {
    match most
        .and_then(|most| usize::try_from(most).ok())
        .filter(|most| *most > 0)
    {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}

impl Evaluator<'_> {
    fn decimal(&mut self, domain: &str, parts: &[&str], text: &str) -> String {
        if !self.is_strict() {
            return md5_decimal(text);
        }
        self.differs("a digest is keyed");
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let digest = self.pseudonyms.digest(domain, &parts);
        let (first, _) = digest.split_at(16);
        let bytes: [u8; 16] = first.try_into().unwrap_or_default();
        u128::from_be_bytes(bytes).to_string()
    }

    fn kept_empty(&mut self, value: &str) -> bool {
        let empty = self.is_strict() && java::trim(value).is_empty();
        if empty {
            self.differs("an empty value stays empty");
        }
        empty
    }

    pub(crate) fn hash(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let Some(name) = call.args.first() else {
            return self.failed(call, "@hash lacks an argument");
        };
        let Some(value) = self.text_or_null(name, this) else {
            return Ok("@remove()".to_owned());
        };
        let length = match call.args.get(1) {
            None => None,
            Some(length) => match self.parameter(length) {
                Some(length) => java::parse_int(length),
                None => return self.failed(call, "a parameter is not defined"),
            },
        };
        if self.kept_empty(&value) {
            return Ok("@empty()".to_owned());
        }
        Ok(cut(self.decimal("ctp hash", &[&value], &value), length))
    }

    pub(crate) fn hash_patient_id(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let (Some(site), Some(name)) = (call.args.first(), call.args.get(1)) else {
            return self.failed(call, "@hashptid lacks an argument");
        };
        let site = match self.parameter(site) {
            Some(site) => java::trim(site).to_owned(),
            None if self.is_strict() => return Err(Thrown::strict("a parameter is not defined")),
            None => String::new(),
        };
        let id = self.text(name, this);
        let id = java::trim(&id);
        let length = call
            .args
            .get(2)
            .and_then(|length| self.parameter(length))
            .and_then(java::parse_int);
        if self.kept_empty(id) {
            return Ok("@empty()".to_owned());
        }
        let text = format!("[{site}]{id}");
        Ok(cut(self.decimal("ctp patient id", &[&site, id], &text), length))
    }

    pub(crate) fn hash_name(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let (Some(name), Some(length)) = (call.args.first(), call.args.get(1)) else {
            return self.failed(call, "@hashname lacks an argument");
        };
        let length = self.parameter(length).and_then(java::parse_int).unwrap_or(4);
        let words = call
            .args
            .get(2)
            .and_then(|words| self.parameter(words))
            .and_then(java::parse_int);
        let words = words
            .and_then(|words| usize::try_from(words).ok())
            .filter(|words| *words > 0);
        let name = self.text(name, this);
        let parts = java::split(&name, '^');
        let joined: String = parts.into_iter().take(words.unwrap_or(usize::MAX)).collect();
        let letters: String = joined
            .chars()
            .filter(|c| !java::is_space(*c) && !matches!(c, ',' | '\'' | '^' | '.'))
            .collect();
        let letters = letters.to_uppercase();
        if self.kept_empty(&letters) {
            return Ok("@empty()".to_owned());
        }
        Ok(cut(self.decimal("ctp name", &[&letters], &letters), Some(length)))
    }

    pub(crate) fn hash_uid(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        let (Some(root), Some(name)) = (call.args.first(), call.args.get(1)) else {
            return self.failed(call, "@hashuid lacks an argument");
        };
        let root = self.parameter(root).map(|root| java::trim(root).to_owned());
        let Some(uid) = self.text_or_null(name, this) else {
            return Ok("@remove()".to_owned());
        };
        let Some(mut root) = root else {
            return self.failed(call, "a parameter is not defined");
        };
        // An empty root becomes a dot in CTP.
        if !root.ends_with('.') {
            root.push('.');
        }
        let mut more = String::new();
        if let Some(other) = call.args.get(2) {
            let tag = self.reading.resolve(other);
            match self.rule_of(tag) {
                Ok(value) => more = value.unwrap_or_default(),
                Err(_) if !self.is_strict() => return self.failed(call, "a rule failed"),
                Err(thrown) => return Err(thrown),
            }
        }
        if self.is_strict() {
            return self.keyed_uids(&root, &uid, &more);
        }
        let digits = md5_decimal(&(uid + &more));
        let nine = if digits.starts_with('0') { "9" } else { "" };
        Ok(cut(format!("{root}{nine}{digits}"), Some(64)))
    }

    /// Each UID of its own, so that references still hold; those of the standard stay, empty stays empty.
    fn keyed_uids(&mut self, root: &str, uids: &str, more: &str) -> Result<String, Thrown> {
        if root.len() + DIGITS > MOST_UID {
            return Err(Thrown::strict("the root leaves too few digits for a UID"));
        }
        if self.kept_empty(uids) {
            return Ok("@empty()".to_owned());
        }
        let mut out = Vec::new();
        for uid in uids.split('\\') {
            let uid = crate::pseudonym::trim(uid);
            out.push(if uid.is_empty() || beyond::is_standard_uid(uid) {
                uid.to_owned()
            } else {
                format!("{root}{}", self.decimal("ctp uid", &[uid, more], uid))
            });
        }
        Ok(out.join("\\"))
    }

    pub(crate) fn encrypt(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        if call.args.len() < 2 {
            return self.failed(call, "@encrypt lacks an argument");
        }
        let value = self.text(argument(call, 0)?, this);
        match self.cipher(argument(call, 1)?) {
            Some(cipher) => Ok(encrypted(&cipher, &value)),
            None => self.failed(call, "@encrypt has no key"),
        }
    }

    pub(crate) fn decrypt(&mut self, call: &Call, this: u32) -> Result<String, Thrown> {
        if call.args.len() < 2 {
            return self.failed(call, "@decrypt lacks an argument");
        }
        let value = self.text(argument(call, 0)?, this);
        let decrypted = self
            .cipher(argument(call, 1)?)
            .and_then(|cipher| decrypted(&cipher, &value));
        match decrypted {
            Some(text) => Ok(text),
            None => self.failed(call, "@decrypt cannot read the value"),
        }
    }

    fn cipher(&self, key: &str) -> Option<Blowfish> {
        let key = match self.parameter(key) {
            Some(key) => key,
            None if self.is_strict() => return None,
            None => "",
        };
        Blowfish::new_from_slice(&key_bytes(key)?).ok()
    }
}

/// 128 bits of key: the first 22 characters of base64 in the text, lengthened by CTP's fixed filler.
fn key_bytes(text: &str) -> Option<Vec<u8>> {
    const FILLER: &str = "tszyihnnphlyeaglle";
    const CHARACTERS: usize = 22;
    let of_base64 = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let mut key: String = text.chars().filter(of_base64).take(CHARACTERS).collect();
    while key.len() < CHARACTERS {
        key.push_str(FILLER);
    }
    key.truncate(CHARACTERS);
    // The last character carries four bits more than are needed; Java drops them.
    let mut permissive = data_encoding::Specification::new();
    permissive
        .symbols
        .push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    permissive.check_trailing_bits = false;
    permissive.encoding().ok()?.decode(key.as_bytes()).ok()
}

fn encrypted(cipher: &Blowfish, text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let padding = 8 - bytes.len() % 8;
    bytes.resize(bytes.len() + padding, u8::try_from(padding).unwrap_or(8));
    for chunk in bytes.chunks_exact_mut(8) {
        let mut block = Block::<Blowfish>::default();
        block.copy_from_slice(chunk);
        cipher.encrypt_block(&mut block);
        chunk.copy_from_slice(&block);
    }
    BASE64.encode(&bytes)
}

fn decrypted(cipher: &Blowfish, text: &str) -> Option<String> {
    let symbols: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
        .collect();
    let mut bytes = BASE64.decode(symbols.as_bytes()).ok()?;
    if bytes.len() % 8 != 0 {
        return None;
    }
    for chunk in bytes.chunks_exact_mut(8) {
        let mut block = Block::<Blowfish>::default();
        block.copy_from_slice(chunk);
        cipher.decrypt_block(&mut block);
        chunk.copy_from_slice(&block);
    }
    if bytes.is_empty() {
        return Some(String::new());
    }
    let padding = usize::from(*bytes.last()?);
    let length = bytes.len().checked_sub(padding)?;
    let padded = (1..=8).contains(&padding) && bytes.get(length..)?.iter().all(|b| usize::from(*b) == padding);
    bytes.truncate(length);
    padded.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_decimal_numbers() {
        assert_eq!(md5_decimal(""), "281949768489412648962353822266799178366");
        assert_eq!(cut("12345".to_owned(), Some(3)), "123");
        assert_eq!(cut("12345".to_owned(), Some(0)), "12345");
        assert_eq!(cut("12345".to_owned(), Some(-1)), "12345");
    }

    #[test]
    fn what_was_encrypted_is_decrypted() {
        let cipher = |key| Blowfish::new_from_slice(&key_bytes(key).unwrap()).unwrap();
        assert_eq!(encrypted(&cipher("\"literal\""), "1CT1"), "AkDM4JR7fOo=");
        assert_eq!(encrypted(&cipher("OurSecretKey0123456789"), ""), "enIMEP7UnuY=");
        for text in ["", "1CT1", "exactly8", "longer than one block", "ü"] {
            let key = cipher("");
            assert_eq!(decrypted(&key, &encrypted(&key, text)).as_deref(), Some(text));
            assert_eq!(decrypted(&cipher("x"), &encrypted(&key, text)), None);
        }
        assert_eq!(decrypted(&cipher("k"), "abc"), None);
    }
}
