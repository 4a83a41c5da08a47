//! Sealing of what is left in the account: only who has the key reads it, or makes another.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

const KEY_BYTES: usize = 32;
/// EC2's limit of a tag's value.
const TEXT_MAX: usize = 255;

/// A key, and what makes nonces.
#[derive(Debug)]
pub(crate) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Seal {
    /// The key in a file; a new one if there is none. Every controller and reaper of a deployment
    /// must have the same.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let random = SystemRandom::new();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = vec![0; KEY_BYTES];
                let filled = random.fill(&mut bytes);
                filled.map_err(|_| named(&"the system gives no random numbers"))?;
                write_new(path, &bytes).map_err(|error| named(&error))?;
                bytes
            }
            Err(error) => return Err(named(&error)),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map_err(|_| named(&"a key has 32 bytes"))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random,
        })
    }

    /// As text that fits a tag of this resource, and no other; `None` if it is too long.
    pub(crate) fn seal(&self, text: &[u8], resource: &str) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut bytes = text.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let about = Aad::from(resource.as_bytes());
        self.key
            .seal_in_place_append_tag(unique, about, &mut bytes)
            .ok()?;
        let text = STANDARD_NO_PAD.encode([nonce.as_slice(), &bytes].concat());
        (text.len() <= TEXT_MAX).then_some(text)
    }

    /// What was sealed for this resource; `None` if it was not, or with another key.
    pub(crate) fn open(&self, text: &str, resource: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let about = Aad::from(resource.as_bytes());
        let opened = self.key.open_in_place(nonce, about, &mut sealed).ok()?;
        Some(opened.to_vec())
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_and_the_resource_open_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let seal = Seal::read(&path).unwrap();
        let text = seal.seal(b"secret", "eni-1").unwrap();
        assert_ne!(text, seal.seal(b"secret", "eni-1").unwrap());
        let again = Seal::read(&path).unwrap();
        assert_eq!(again.open(&text, "eni-1").as_deref(), Some(&b"secret"[..]));
        assert_eq!(again.open(&text, "eni-2"), None);
        let other = Seal::read(&folder.path().join("other")).unwrap();
        assert_eq!(other.open(&text, "eni-1"), None);
        for cut in 0..text.len() {
            assert_eq!(again.open(&text[..cut], "eni-1"), None);
        }
        assert_eq!(seal.seal(&[0; 200], "eni-1"), None, "too long for a tag");
    }
}
