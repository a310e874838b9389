//! Tokens, keys, and what is none of either.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

use super::*;
use crate::reload::File;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const RSA: &[u8] = include_bytes!("../../tests/keys/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/keys/rsa.pub.pem");
const RSA_SHORT: &[u8] = include_bytes!("../../tests/keys/rsa-1024.pub.pem");
const ED: &[u8] = include_bytes!("../../tests/keys/ed25519.pem");
const ED_PUBLIC: &[u8] = include_bytes!("../../tests/keys/ed25519.pub.pem");
const P256_PUBLIC: &[u8] = include_bytes!("../../tests/keys/p256.pub.pem");

fn files(content: &[u8]) -> [File; 1] {
    [File { path: "keys".to_owned(), content: content.to_vec() }]
}

fn secrets(content: &[u8]) -> Authenticator {
    Authenticator::Jwt(Watched::fixed(Keys::secrets(&files(content)).unwrap()))
}

fn public(content: &[u8]) -> Authenticator {
    Authenticator::Jwt(Watched::fixed(Keys::public(&files(content)).unwrap()))
}

fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, key).unwrap()
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    signed(Algorithm::HS256, &EncodingKey::from_secret(secret), claims)
}

fn eddsa(claims: &Value) -> String {
    signed(Algorithm::EdDSA, &EncodingKey::from_ed_pem(ED).unwrap(), claims)
}

fn rs256(claims: &Value) -> String {
    signed(Algorithm::RS256, &EncodingKey::from_rsa_pem(RSA).unwrap(), claims)
}

fn identify(claims: &Value) -> Result<Identity, Code> {
    secrets(SECRET).identify(&hs256(SECRET, claims)).map_err(|refusal| refusal.code)
}

fn in_seconds(seconds: i64) -> i64 {
    get_current_timestamp().cast_signed() + seconds
}

fn ann() -> Value {
    json!({ "sub": "ann", "exp": in_seconds(60) })
}

#[test]
fn a_signed_token_names_its_owner() {
    let identity = identify(&json!({ "sub": "ann", "exp": in_seconds(60), "aud": "someone" })).unwrap();
    assert_eq!(identity.user.as_str(), "ann");
    assert!(identity.may_join(&Room::default()).is_ok());
}

#[test]
fn half_a_minute_of_clock_difference_is_forgiven_and_no_more() {
    assert!(identify(&json!({ "sub": "ann", "exp": in_seconds(-25) })).is_ok());
    assert_eq!(identify(&json!({ "sub": "ann", "exp": in_seconds(-35) })), Err(Code::TokenExpired));
    assert_eq!(
        identify(&json!({ "sub": "ann", "exp": in_seconds(60), "nbf": in_seconds(35) })),
        Err(Code::TokenInvalid)
    );
}

#[test]
fn a_session_ends_when_its_token_would_not_be_let_in_any_more() {
    let end = |exp: Value| identify(&json!({ "sub": "ann", "exp": exp })).unwrap().expires().unwrap().as_secs();
    let exp = in_seconds(60);
    assert_eq!(end(json!(exp)), exp.cast_unsigned() + 31);
    assert_eq!(end(json!(exp as f64 + 0.25)), exp.cast_unsigned() + 31);
    assert_eq!(end(json!(u64::MAX)), u64::MAX, "for good");
    assert_eq!(Authenticator::None.identify("ann").unwrap().expires(), None);
}

#[test]
fn a_token_without_expiry_or_a_valid_owner_is_no_token() {
    for claims in [
        json!({ "sub": "ann" }),
        json!({ "exp": in_seconds(60) }),
        json!({ "sub": "", "exp": in_seconds(60) }),
        json!({ "sub": "a b", "exp": in_seconds(60) }),
        json!({ "sub": "a".repeat(65), "exp": in_seconds(60) }),
        json!({ "sub": 7, "exp": in_seconds(60) }),
        json!({ "sub": "ann", "exp": "soon" }),
        json!({ "sub": "ann", "exp": null }),
        json!({ "sub": "ann", "exp": in_seconds(60), "rooms": "all" }),
        json!({ "sub": "ann", "exp": in_seconds(60), "rooms": null }),
        json!({ "sub": "ann", "exp": in_seconds(60), "rooms": ["global", null] }),
    ] {
        assert_eq!(identify(&claims), Err(Code::TokenInvalid), "{claims}");
    }
    assert!(identify(&json!({ "sub": "a".repeat(64), "exp": in_seconds(60) })).is_ok());
}

/// Among them the classics: no signature at all, and the public key's own text as a secret.
#[test]
fn only_our_key_and_its_algorithm_are_believed() {
    let claims = ann();
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjk5OTk5OTk5OTl9.";
    let other_rsa = Algorithm::RS512;
    let hs512 = signed(Algorithm::HS512, &EncodingKey::from_secret(SECRET), &claims);
    let rs512 = signed(other_rsa, &EncodingKey::from_rsa_pem(RSA).unwrap(), &claims);
    let (rs256, eddsa) = (rs256(&claims), eddsa(&claims));
    let refused = [
        (secrets(SECRET), vec![hs512, hs256(&[7; 32], &claims), rs256.clone(), eddsa.clone()]),
        (public(RSA_PUBLIC), vec![hs256(RSA_PUBLIC, &claims), rs512, eddsa.clone()]),
        (public(ED_PUBLIC), vec![hs256(ED_PUBLIC, &claims), rs256.clone()]),
    ];
    for (authenticator, tokens) in &refused {
        for token in tokens.iter().map(String::as_str).chain([unsigned, "", "x", "a.b.c"]) {
            assert_eq!(authenticator.identify(token).unwrap_err().code, Code::TokenInvalid, "{token}");
        }
    }
    assert!(public(RSA_PUBLIC).identify(&rs256).is_ok() && public(ED_PUBLIC).identify(&eddsa).is_ok());
    let forged = format!("{}AAAA", &eddsa[..eddsa.len() - 4]);
    assert_eq!(public(ED_PUBLIC).identify(&forged).unwrap_err().code, Code::TokenInvalid);
}

#[test]
fn a_token_with_an_extension_that_must_be_understood_is_refused() {
    let key = EncodingKey::from_secret(SECRET);
    let with = |header: Header| secrets(SECRET).identify(&encode(&header, &ann(), &key).unwrap());
    let header = || Header { kid: Some("of no meaning".to_owned()), ..Header::new(Algorithm::HS256) };
    assert!(with(header()).is_ok());
    let critical = Header { crit: Some(vec!["kid".to_owned()]), ..header() };
    assert_eq!(with(critical).unwrap_err().code, Code::TokenInvalid);
}

#[test]
fn while_one_key_replaces_another_both_are_believed() {
    let (old, new) = ([b'o'; 32], [b'n'; 40]);
    let both = secrets(&[&new[..], b"\r\n\n", &old[..], b"\n"].concat());
    assert!(both.identify(&hs256(&old, &ann())).is_ok() && both.identify(&hs256(&new, &ann())).is_ok());
    let late = json!({ "sub": "ann", "exp": in_seconds(-60) });
    for secret in [&old[..], &new[..]] {
        assert_eq!(both.identify(&hs256(secret, &late)).unwrap_err().code, Code::TokenExpired);
    }
    let both = public(&[RSA_PUBLIC, b"the new one:\n", ED_PUBLIC].concat());
    assert!(both.identify(&rs256(&ann())).is_ok() && both.identify(&eddsa(&ann())).is_ok());
}

#[test]
fn a_key_that_is_none_or_too_weak_is_refused() {
    let wrong = |read: fn(&[File]) -> Result<Keys, String>, content: &[u8]| read(&files(content)).unwrap_err();
    assert_eq!(wrong(Keys::secrets, &[b'x'; 31]), "\"keys\" holds 31 bytes in line 1, HS256 needs 32 or more");
    assert_eq!(wrong(Keys::secrets, b"\n"), "\"keys\" holds no secret");
    assert!(wrong(Keys::secrets, &[SECRET, b"\nshort"].concat()).contains("line 2"));
    assert!(wrong(Keys::secrets, &[SECRET, b"\n"].concat().repeat(9)).contains("9 keys"));
    assert_eq!(wrong(Keys::public, SECRET), "\"keys\" holds no PUBLIC KEY");
    assert!(wrong(Keys::public, RSA_SHORT).contains("1024 bits"));
    assert!(wrong(Keys::public, P256_PUBLIC).contains("neither Ed25519 nor RSA"));
    assert!(wrong(Keys::public, &[RSA_PUBLIC, RSA].concat()).contains("more than PUBLIC KEYs"));
    let older = String::from_utf8_lossy(RSA_PUBLIC).replace(" PUBLIC", " RSA PUBLIC");
    assert!(wrong(Keys::public, &[ED_PUBLIC, older.as_bytes()].concat()).contains("more than PUBLIC KEYs"));
    assert!(wrong(Keys::public, &RSA_PUBLIC[..200]).starts_with("\"keys\" "));
    // A point of small order: its owner is everybody.
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    assert!(wrong(Keys::public, weak.as_bytes()).contains("anybody"));
}

#[test]
fn a_token_may_be_limited_to_rooms() {
    let claims = json!({ "sub": "ann", "exp": in_seconds(60), "rooms": ["global", "team-*"] });
    let identity = identify(&claims).unwrap();
    let allowed = |room: &str| identity.may_join(&Room::parse(room).unwrap()).is_ok();
    assert!(allowed("global") && allowed("team-") && allowed("team-7"));
    assert!(!allowed("globa") && !allowed("global2") && !allowed("Team-7"));
    let nowhere = identify(&json!({ "sub": "a", "exp": in_seconds(60), "rooms": [] })).unwrap();
    assert!(nowhere.may_join(&Room::default()).is_err());
}

#[test]
fn without_authentication_a_token_is_a_name() {
    assert_eq!(Authenticator::None.identify("bob").unwrap().user.as_str(), "bob");
    assert_eq!(Authenticator::None.identify("b ob").unwrap_err().code, Code::TokenInvalid);
}
