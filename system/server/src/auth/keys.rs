//! What tokens are believed by: secrets (HS256), or public keys (RS256, EdDSA).
//!
//! The algorithm follows from the key, never from what the token says of itself. A file may hold several keys, so that
//! an operator can rotate without a moment in which good tokens are refused: the new key is added, issuers move to it,
//! the old one is removed. Deliberately absent: the key id (`kid`), since each key is tried anyway.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::DecodePublicKey;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rsa::RsaPublicKey;
use rsa::traits::PublicKeyParts;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::{Deserialize, Deserializer};
use system_protocol::{Code, Refusal, limits};

use super::invalid;
use crate::reload::File;

/// RFC 7518, section 3.2: a key no shorter than the hash.
const SHORTEST_SECRET: usize = 32;
/// RFC 7518, section 3.3.
const SHORTEST_RSA: usize = 2048;
/// More is no rotation, and each costs a bad token a verification.
const MOST: usize = 8;

/// All keys that are believed now.
pub struct Keys(Vec<Key>);

struct Key {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    /// Only a claim that is not there allows all: one that says nothing must not.
    #[serde(default, deserialize_with = "present")]
    pub(super) rooms: Option<Vec<String>>,
    /// Seconds since 1970; RFC 7519 allows fractions.
    pub(super) exp: f64,
}

/// serde takes `null` for absence.
fn present<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::deserialize(claim).map(Some)
}

impl Keys {
    /// One secret a line.
    pub(crate) fn secrets(files: &[File]) -> Result<Keys, String> {
        let mut keys = Vec::new();
        for File { path, content } in files {
            for (line, secret) in (1..).zip(content.split(|byte| *byte == b'\n')) {
                let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
                match secret.len() {
                    0 => {}
                    length @ 1..SHORTEST_SECRET => {
                        return Err(format!(
                            "{path:?} holds {length} bytes in line {line}, HS256 needs {SHORTEST_SECRET} or more"
                        ));
                    }
                    _ => keys.push(Key::new(DecodingKey::from_secret(secret), Algorithm::HS256)),
                }
            }
        }
        Keys::some(keys, files, "secret")
    }

    /// PEM with a `PUBLIC KEY` for each.
    pub(crate) fn public(files: &[File]) -> Result<Keys, String> {
        let mut keys = Vec::new();
        for File { path, content } in files {
            for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(content) {
                let (kind, der) = section.map_err(|error| format!("{path:?} is not PEM: {error}"))?;
                if kind != SectionKind::PublicKey {
                    return Err(format!("{path:?} holds more than PUBLIC KEYs: {kind:?}"));
                }
                keys.push(public(&der).map_err(|wrong| format!("{path:?} holds {wrong}"))?);
            }
            // The reader passes over what it does not know.
            if content.windows(BEGIN.len()).filter(|text| *text == BEGIN).count() > keys.len() {
                return Err(format!("{path:?} holds more than PUBLIC KEYs"));
            }
        }
        Keys::some(keys, files, "PUBLIC KEY")
    }

    fn some(keys: Vec<Key>, files: &[File], what: &str) -> Result<Keys, String> {
        let path = files.first().map_or("", |file| file.path.as_str());
        match keys.len() {
            0 => Err(format!("{path:?} holds no {what}")),
            1..=MOST => Ok(Keys(keys)),
            many => Err(format!("{path:?} holds {many} keys, more than {MOST}")),
        }
    }

    /// What a token claims, when one of the keys says that it may.
    pub(super) fn claims(&self, token: &str) -> Result<Claims, Refusal> {
        let mut refusal = invalid();
        for Key { key, validation } in &self.0 {
            match decode::<Claims>(token, key, validation) {
                // RFC 7515, section 4.1.11: an extension that must be understood is one that we do not know.
                Ok(token) if token.header.crit.is_none() => return Ok(token.claims),
                // Signed by a key of ours, and late.
                Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => refusal = expired(),
                Ok(_) | Err(_) => {}
            }
        }
        Err(refusal)
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";

impl Key {
    fn new(key: DecodingKey, algorithm: Algorithm) -> Key {
        let mut validation = Validation::new(algorithm);
        validation.leeway = limits::TOKEN_LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Key { key, validation }
    }
}

fn public(der: &[u8]) -> Result<Key, String> {
    if let Ok(key) = VerifyingKey::from_public_key_der(der) {
        if key.is_weak() {
            return Err("an Ed25519 key that anybody can sign for".to_owned());
        }
        return Ok(Key::new(DecodingKey::from_ed_der(key.as_bytes()), Algorithm::EdDSA));
    }
    let key = RsaPublicKey::from_public_key_der(der)
        .map_err(|_| format!("a key that is neither Ed25519 nor RSA of up to {} bits", RsaPublicKey::MAX_SIZE))?;
    let bits = key.n().bits();
    if bits < SHORTEST_RSA {
        return Err(format!("an RSA key of {bits} bits, RS256 needs {SHORTEST_RSA} or more"));
    }
    let key = DecodingKey::from_rsa_raw_components(&key.n().to_bytes_be(), &key.e().to_bytes_be());
    Ok(Key::new(key, Algorithm::RS256))
}

/// For a token that was good.
pub(crate) fn expired() -> Refusal {
    Refusal::new(Code::TokenExpired, "Token expired")
}

/// Keys stay out of logs.
impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} keys", self.0.len())
    }
}
