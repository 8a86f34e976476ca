//! Keyed, deterministic replacements: the same value gives the same replacement in any process, node, year and order of
//! arrival, without a table; nobody without the key can test a guess (deid reference, section 11; DESIGN section 5).
//!
//! ```text
//! prf(domain, field, ...) = HMAC-SHA-256(key, domain || 0x00 || field || 0x00 || field ...)
//! ```
//!
//! Fields are UTF-8 without padding; the second is always the scope (the collection), so that two collections under one
//! key share no pseudonym.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A collection's key for pseudonyms: 256 bits, wiped when dropped, never printed.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The replacements of one collection.
pub struct Pseudonyms {
    key: Zeroizing<[u8; 64]>,
    scope: String,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Pseudonyms {
    /// Makes the replacements of a scope, which is the collection's accession.
    pub fn new(secret: &Secret, scope: &str) -> Self {
        // HMAC pads a short key with zeros to the block size; doing it here makes keying infallible.
        let mut key = Zeroizing::new([0; 64]);
        for (to, from) in key.iter_mut().zip(secret.0.iter()) {
            *to = *from;
        }
        Self {
            key,
            scope: scope.to_owned(),
        }
    }

    fn prf(&self, domain: &str, fields: &[&[u8]]) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&(*self.key).into());
        mac.update(domain.as_bytes());
        mac.update(&[0]);
        mac.update(self.scope.as_bytes());
        for field in fields {
            mac.update(&[0]);
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }

    /// Returns the UID that replaces a UID: `2.25.` and a UUID of version 8 in decimal, PS3.5 B.2.
    pub fn uid(&self, uid: &str) -> String {
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15, ..] =
            self.prf("uid", &[trim(uid).as_bytes()]);
        let uuid = [
            b0,
            b1,
            b2,
            b3,
            b4,
            b5,
            (b6 & 0x0F) | 0x80, // version 8
            b7,
            (b8 & 0x3F) | 0x80, // variant 10
            b9,
            b10,
            b11,
            b12,
            b13,
            b14,
            b15,
        ];
        format!("2.25.{}", u128::from_be_bytes(uuid))
    }

    /// Returns the identifier that replaces a patient's.
    pub fn patient_id(&self, issuer: &str, id: &str) -> String {
        let digest = self.prf("pid", &[trim(issuer).as_bytes(), trim(id).as_bytes()]);
        let (ten, _) = digest.split_at(10);
        format!("ANON-{}", BASE32_NOPAD.encode(ten))
    }

    /// Returns the days that every date of a patient is moved by: -3653 to -366.
    pub fn date_shift_days(&self, issuer: &str, id: &str) -> i64 {
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = self.prf("date", &[trim(issuer).as_bytes(), trim(id).as_bytes()]);
        let days = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) % 3288;
        -(366 + days.cast_signed())
    }

    /// Returns a keyed digest for other purposes: references in the audit trail, digests of content.
    ///
    /// Domains share nothing with each other nor with the pseudonyms above. Parts may hold any bytes: each is preceded by
    /// its length, so that no two lists of parts give the same input.
    pub fn digest(&self, domain: &str, parts: &[&[u8]]) -> [u8; 32] {
        let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
        let mut fields: Vec<&[u8]> = Vec::with_capacity(1 + 2 * parts.len());
        fields.push(domain.as_bytes());
        for (length, part) in lengths.iter().zip(parts) {
            fields.push(length);
            fields.push(part);
        }
        self.prf("digest", &fields)
    }
}

/// Returns text without the padding that DICOM allows around it.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms(scope: &str) -> Pseudonyms {
        Pseudonyms::new(&Secret::new(std::array::from_fn(|i| i as u8)), scope)
    }

    #[test]
    fn the_vectors_of_the_reference_come_out() {
        let p = pseudonyms("OBIA0001");
        assert_eq!(
            p.uid("1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"),
            "2.25.254952837695962057864410040631638774302"
        );
        assert_eq!(p.patient_id("", "1CT1"), "ANON-2UC7TST2Y5JYN7AN");
        assert_eq!(p.date_shift_days("", "1CT1"), -679);
        assert_eq!(p.date_shift_days("HOSP", "1CT1"), -586);
    }

    #[test]
    fn padding_does_not_make_another_value() {
        let p = pseudonyms("OBIA0001");
        assert_eq!(p.uid("1.2.3\0"), p.uid("1.2.3"));
        assert_eq!(p.patient_id("", "1CT1 "), p.patient_id("", "1CT1"));
    }

    #[test]
    fn scopes_issuers_and_domains_share_nothing() {
        let (a, b) = (pseudonyms("OBIA0001"), pseudonyms("OBIA0002"));
        assert_ne!(a.uid("1.2.3"), b.uid("1.2.3"));
        assert_ne!(a.patient_id("A", "1"), a.patient_id("B", "1"));
        assert_ne!(a.digest("x", &[b"1"]), a.digest("y", &[b"1"]));
        assert_ne!(a.digest("x", &[b"1", b"2"]), a.digest("x", &[b"12"]));
        assert_ne!(a.digest("x", &[b"1\0", b"2"]), a.digest("x", &[b"1", b"\x002"]));
    }

    #[test]
    fn a_uid_always_fits_and_shifts_stay_in_their_range() {
        let p = pseudonyms("S");
        for i in 0..2000 {
            let uid = p.uid(&format!("1.2.{i}"));
            assert!(uid.len() <= 44 && uid.starts_with("2.25."));
            assert!((-3653..=-366).contains(&p.date_shift_days("", &i.to_string())));
        }
    }

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new([0xAB; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let text = format!("{:?}", Pseudonyms::new(&secret, "C"));
        assert!(!text.contains("171") && !text.contains("AB"), "{text}");
    }
}
