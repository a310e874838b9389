//! Every case of RFC 7692, section 7.1, with the exact answer.

use proptest::prelude::*;

use super::*;

fn answer_within(largest: u8, fields: &[&str]) -> Option<String> {
    negotiate(fields.iter().copied(), largest).expect("follows the grammar").map(|agreed| agreed.to_string())
}

fn answer(field: &str) -> Option<String> {
    answer_within(15, &[field])
}

const PLAIN: &str = "permessage-deflate; client_no_context_takeover";

#[test]
fn an_offer_without_parameters_is_accepted() {
    assert_eq!(answer("permessage-deflate").as_deref(), Some(PLAIN));
}

#[test]
fn nothing_is_answered_where_nothing_fits() {
    for offer in ["", "x-webkit-deflate-frame", "permessage-bzip2, permessage-foo; a=1", "Permessage-Deflate"] {
        assert_eq!(answer(offer), None, "{offer}");
    }
    assert_eq!(answer_within(15, &[]), None);
}

#[test]
fn server_no_context_takeover_is_honoured_and_confirmed() {
    let offered = "permessage-deflate; server_no_context_takeover";
    let answered = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(answer(offered).as_deref(), Some(answered));
    assert_eq!(answer("permessage-deflate; server_no_context_takeover=1"), None);
    assert_eq!(answer("permessage-deflate; server_no_context_takeover; server_no_context_takeover"), None);
}

#[test]
fn client_no_context_takeover_is_answered_asked_or_not() {
    assert_eq!(answer("permessage-deflate; client_no_context_takeover").as_deref(), Some(PLAIN));
    assert_eq!(answer("permessage-deflate; client_no_context_takeover=true"), None);
    assert_eq!(answer("permessage-deflate; client_no_context_takeover; client_no_context_takeover"), None);
}

#[test]
fn server_max_window_bits_is_honoured_from_9_to_15() {
    for bits in 9..=15 {
        let answered = format!("{PLAIN}; server_max_window_bits={bits}");
        assert_eq!(answer(&format!("permessage-deflate; server_max_window_bits={bits}")), Some(answered.clone()));
        assert_eq!(answer(&format!("permessage-deflate; server_max_window_bits=\"{bits}\"")), Some(answered));
    }
}

#[test]
fn server_max_window_bits_never_answers_more_than_the_server_wants() {
    let offer = |bits| format!("permessage-deflate; server_max_window_bits={bits}");
    let answered = |bits| Some(format!("{PLAIN}; server_max_window_bits={bits}"));
    assert_eq!(answer_within(12, &[&offer(15)]), answered(12));
    assert_eq!(answer_within(12, &[&offer(10)]), answered(10));
    assert_eq!(answer_within(12, &["permessage-deflate"]).as_deref(), Some(PLAIN), "unasked, it needs no word");
}

#[test]
fn a_window_of_8_bits_is_declined_and_the_next_offer_counts() {
    assert_eq!(answer("permessage-deflate; server_max_window_bits=8"), None);
    assert_eq!(answer("permessage-deflate; server_max_window_bits=8, permessage-deflate").as_deref(), Some(PLAIN));
}

#[test]
fn window_bits_that_are_no_number_from_8_to_15_are_declined() {
    for side in ["server", "client"] {
        for bits in ["7", "16", "0", "08", "010", "-9", "+9", "9.0", "1e1", "0x9", "99999999999", "ten"] {
            assert_eq!(answer(&format!("permessage-deflate; {side}_max_window_bits={bits}")), None, "{side} {bits}");
        }
    }
    assert_eq!(answer("permessage-deflate; server_max_window_bits"), None, "it must have a value");
    assert_eq!(answer("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10"), None);
}

#[test]
fn client_max_window_bits_is_allowed_with_and_without_a_value() {
    assert_eq!(answer("permessage-deflate; client_max_window_bits").as_deref(), Some(PLAIN), "browsers, Node");
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; client_max_window_bits={bits}");
        assert_eq!(answer(&offer).as_deref(), Some(PLAIN));
    }
    assert_eq!(answer("permessage-deflate; client_max_window_bits; client_max_window_bits=9"), None);
}

#[test]
fn unknown_parameters_are_declined() {
    assert_eq!(answer("permessage-deflate; foo"), None);
    assert_eq!(answer("permessage-deflate; client_max_window_bits; foo=1, permessage-deflate").as_deref(), Some(PLAIN));
}

#[test]
fn the_first_offer_that_can_be_honoured_is_taken() {
    let offers = "foo, permessage-deflate; server_max_window_bits=10; client_max_window_bits, permessage-deflate";
    let answered = Some(format!("{PLAIN}; server_max_window_bits=10"));
    assert_eq!(answer(offers), answered);
    let apart: Vec<&str> = offers.split(", ").collect();
    assert_eq!(answer_within(15, &apart), answered, "several fields are one list");
}

#[test]
fn all_four_together() {
    let offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=9; client_max_window_bits=15";
    let answered =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9";
    assert_eq!(answer(offer).as_deref(), Some(answered));
}

#[test]
fn what_breaks_the_grammar_fails_the_handshake_even_behind_an_acceptable_offer() {
    for fields in [&["permessage-deflate;"][..], &["permessage-deflate, ;"], &["permessage-deflate", "a b"]] {
        assert!(negotiate(fields.iter().copied(), 15).is_err(), "{fields:?}");
    }
}

fn parameter() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
        "other",
    ]);
    let value = prop::option::of(prop_oneof![(7..=16u8).prop_map(|bits| bits.to_string()), Just("x".to_owned())]);
    (name, value).prop_map(|(name, value)| value.map_or(name.to_owned(), |value| format!("{name}={value}")))
}

fn offers() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(parameter(), 0..5), 0..4)
}

fn spelled(offers: &[Vec<String>]) -> String {
    let one = |parameters: &Vec<String>| [&["permessage-deflate".to_owned()][..], parameters].concat().join("; ");
    offers.iter().map(one).collect::<Vec<_>>().join(", ")
}

proptest! {
    /// What a client checks of an answer (section 7.1): it must belong to one of its offers.
    #[test]
    fn a_client_can_accept_every_answer(offers in offers(), largest in 9..=15u8) {
        let field = spelled(&offers);
        let agreed = negotiate([field.as_str()], largest).expect("follows the grammar");
        let Some(agreed) = agreed else { return Ok(()) };
        prop_assert!(agreed.window_bits <= largest && WINDOW_BITS.contains(&agreed.window_bits));
        let has = |offer: &[String], name: &str| offer.iter().any(|parameter| parameter.starts_with(name));
        let fits = |offer: &Vec<String>| {
            let most = offer.iter().find_map(|parameter| parameter.strip_prefix("server_max_window_bits="));
            let bits_fit = match most {
                Some(most) => agreed.window_bits_asked && most.parse().is_ok_and(|most: u8| agreed.window_bits <= most),
                None => !agreed.window_bits_asked,
            };
            bits_fit && agreed.without_context == has(offer, "server_no_context_takeover") && !has(offer, "other")
        };
        prop_assert!(offers.iter().any(fits), "{field} was answered {agreed}");
    }

    #[test]
    fn no_field_makes_it_panic(field in "[ -~\\t]{0,60}|(permessage-deflate|[;,=\" ]|[a-z]{1,3}|1[0-9]){0,12}") {
        let _ = negotiate([field.as_str()], 15);
    }
}
