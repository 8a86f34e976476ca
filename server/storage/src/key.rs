//! Keys: made, derived, wrapped, forgotten.
//!
//! ```text
//! master key ──wraps──▶ system key ──derives──▶ system rows, checksum of the pack index
//!      └──────wraps──▶ collection key ──derives──▶ secrets of the collection (pseudonyms, digests)
//!                            └──wraps──▶ Individual key ──derives──▶ key of one blob
//! ```
//!
//! Wrapping is AES-256-GCM under a key derived from the parent for exactly this entry, so no two entries share a wrapping
//! key. Derivation is HKDF-SHA-256 (RFC 5869). Every secret is wiped when it is dropped and has no way to be printed.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aes_gcm::aead::KeyInit;
use aes_gcm::{AeadInOut, Aes256Gcm};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::id::random;

/// 32 secret bytes.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub(crate) fn draw() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        random(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Derives bytes that tell nothing of this secret nor of others derived from it.
    pub(crate) fn derive(&self, salt: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()> {
        Hkdf::<Sha256>::new(Some(salt), self.bytes())
            .expand_multi_info(info, out)
            .map_err(|_| Error::Internal("a derived secret is too long"))
    }

    pub(crate) fn derive_secret(&self, salt: &[u8], info: &[&[u8]]) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.derive(salt, info, bytes.as_mut())?;
        Ok(Self(bytes))
    }

    fn wrapping(&self, associated: &[u8]) -> Result<Aes256Gcm> {
        let key = self.derive_secret(associated, &[b"isocenter wrap 1"])?;
        Ok(Aes256Gcm::new(key.bytes().into()))
    }

    /// Seals `child` under this secret; what is wrapped opens only with the same associated bytes.
    pub(crate) fn wrap(&self, child: &Self, associated: &[u8]) -> Result<Wrapped> {
        let mut wrapped = Wrapped {
            nonce: [0; 12],
            sealed: *child.bytes(),
            tag: [0; 16],
        };
        random(&mut wrapped.nonce)?;
        let tag = self
            .wrapping(associated)?
            .encrypt_inout_detached(&wrapped.nonce.into(), associated, wrapped.sealed.as_mut_slice().into())
            .map_err(|_| Error::Internal("a key cannot be wrapped"))?;
        wrapped.tag = tag.into();
        Ok(wrapped)
    }

    /// Opens what [`Secret::wrap`] sealed; `None` where it was altered or sealed by another secret.
    pub(crate) fn unwrap(&self, wrapped: &Wrapped, associated: &[u8]) -> Result<Option<Self>> {
        let mut bytes = Zeroizing::new(wrapped.sealed);
        let opened = self.wrapping(associated)?.decrypt_inout_detached(
            &wrapped.nonce.into(),
            associated,
            bytes.as_mut_slice().into(),
            &wrapped.tag.into(),
        );
        Ok(opened.is_ok().then_some(Self(bytes)))
    }

    /// Seals bytes under this secret: nonce, ciphertext, tag. They open only with the same associated bytes.
    pub(crate) fn seal(&self, plain: &[u8], associated: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; 12];
        random(&mut nonce)?;
        let mut sealed = plain.to_vec();
        let tag = self
            .wrapping(associated)?
            .encrypt_inout_detached(&nonce.into(), associated, sealed.as_mut_slice().into())
            .map_err(|_| Error::Internal("a text cannot be sealed"))?;
        let tag: [u8; 16] = tag.into();
        Ok([&nonce[..], &sealed, &tag].concat())
    }

    /// Opens what [`Secret::seal`] sealed; `None` where it was altered or sealed by another secret.
    pub(crate) fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((nonce, rest)) = sealed.split_first_chunk::<12>() else {
            return Ok(None);
        };
        let Some((body, tag)) = rest.split_last_chunk::<16>() else {
            return Ok(None);
        };
        let mut plain = Zeroizing::new(body.to_vec());
        let opened = self.wrapping(associated)?.decrypt_inout_detached(
            &(*nonce).into(),
            associated,
            plain.as_mut_slice().into(),
            &(*tag).into(),
        );
        Ok(opened.is_ok().then_some(plain))
    }
}

/// A key sealed under another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub(crate) nonce: [u8; 12],
    pub(crate) sealed: [u8; 32],
    pub(crate) tag: [u8; 16],
}

/// The key above all others. Whoever has it and the key store can open everything that was not erased.
#[derive(Clone)]
pub struct MasterKey(Secret);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint())
    }
}

impl MasterKey {
    /// Returns the key with these bytes.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(Secret(Zeroizing::new(bytes)));
        bytes.zeroize();
        key
    }

    /// Draws a key and writes it, as 64 hexadecimal digits and a line end, to a new file that only its owner may read.
    ///
    /// The file is on the disk when this returns: a key that sealed anything must not vanish with the power.
    ///
    /// # Errors
    /// When there is such a file already, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let fault = |reason: std::io::Error| Error::MasterKeyFile {
            path: path.into(),
            reason: reason.to_string(),
        };
        let key = Self(Secret::draw()?);
        let mut text = Zeroizing::new(hex::encode(key.0.bytes()));
        text.push('\n');
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(fault)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(fault)?;
        let folder = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(fault)?;
        Ok(key)
    }

    /// Reads a key file: 64 hexadecimal digits, or 32 bytes.
    ///
    /// # Errors
    /// When it cannot be read, is no key, or everybody on the machine may read it.
    pub fn load(path: &Path) -> Result<Self> {
        let fault = |reason: String| Error::MasterKeyFile {
            path: path.into(),
            reason,
        };
        let mut file = std::fs::File::open(path).map_err(|e| fault(e.to_string()))?;
        let mode = file.metadata().map_err(|e| fault(e.to_string()))?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(fault("readable by everybody on this machine (chmod 600)".into()));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(128));
        Read::by_ref(&mut file)
            .take(129)
            .read_to_end(&mut bytes)
            .map_err(|e| fault(e.to_string()))?;
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() == 32 {
            key.copy_from_slice(&bytes);
        } else {
            let text = bytes.trim_ascii();
            hex::decode_to_slice(text, key.as_mut()).map_err(|_| fault("not 64 hexadecimal digits".into()))?;
        }
        Ok(Self(Secret(key)))
    }

    /// Returns 16 hexadecimal digits by which the key is told from another; they say nothing about it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(self.mark())
    }

    /// Derives a secret for one purpose outside of this package: the key of the audit trail's chains, say.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut secret = [0; 32];
        // 32 bytes are always within what HKDF can give
        let _ = self.0.derive(b"isocenter purpose", &[purpose.as_bytes()], &mut secret);
        secret
    }

    pub(crate) fn mark(&self) -> [u8; 8] {
        let mut mark = [0; 8];
        // 8 bytes are always within what HKDF can give
        let _ = self.0.derive(&[], &[b"isocenter master key fingerprint"], &mut mark);
        mark
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_with_its_parent_and_its_associated_bytes() {
        let (parent, other, child) = (
            Secret::draw().unwrap(),
            Secret::draw().unwrap(),
            Secret::draw().unwrap(),
        );
        let wrapped = parent.wrap(&child, b"individual 1").unwrap();
        assert_eq!(
            parent.unwrap(&wrapped, b"individual 1").unwrap().unwrap().bytes(),
            child.bytes()
        );
        assert!(parent.unwrap(&wrapped, b"individual 2").unwrap().is_none());
        assert!(other.unwrap(&wrapped, b"individual 1").unwrap().is_none());
        let mut bent = wrapped.clone();
        bent.sealed[0] ^= 1;
        assert!(parent.unwrap(&bent, b"individual 1").unwrap().is_none());
        assert_ne!(&wrapped.sealed, child.bytes());
    }

    #[test]
    fn a_sealed_text_opens_only_with_its_secret_and_its_associated_bytes() {
        let (secret, other) = (Secret::draw().unwrap(), Secret::draw().unwrap());
        for text in [&b""[..], b"ptid/12345=TRIAL-1"] {
            let mut sealed = secret.seal(text, b"profile").unwrap();
            assert_eq!(secret.open(&sealed, b"profile").unwrap().unwrap().as_slice(), text);
            assert!(secret.open(&sealed, b"another").unwrap().is_none());
            assert!(other.open(&sealed, b"profile").unwrap().is_none());
            assert!(!sealed.windows(5).any(|window| window == b"12345"));
            assert!(secret.open(&sealed[..27], b"profile").unwrap().is_none());
            assert!(secret.open(b"short", b"profile").unwrap().is_none());
            sealed[0] ^= 1;
            assert!(secret.open(&sealed, b"profile").unwrap().is_none());
        }
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let key = MasterKey::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            MasterKey::create(&path).is_err(),
            "a second key must not replace the first"
        );
        let again = MasterKey::load(&path).unwrap();
        assert_eq!(key.secret().bytes(), again.secret().bytes());
        assert_eq!(key.fingerprint(), again.fingerprint());
        assert_eq!(key.fingerprint().len(), 16);
        assert_ne!(key.fingerprint(), MasterKey::from_bytes([7; 32]).fingerprint());
        assert!(!format!("{key:?}").contains(&hex::encode(key.secret().bytes())));
    }

    #[test]
    fn a_key_file_that_all_may_read_or_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(Error::MasterKeyFile { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(MasterKey::load(&path), Err(Error::MasterKeyFile { .. })));
        std::fs::write(&path, [9; 32]).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap().secret().bytes(), &[9; 32]);
    }
}
