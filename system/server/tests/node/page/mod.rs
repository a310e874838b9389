//! The chat page, in a real browser: what its users are promised, seen in what it shows them.

mod browser;
mod cable;
mod reader;

use std::io::Write;

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::connecting::{SECRET, token};
use crate::server::Server;
use browser::Browser;
use cable::Cable;
use reader::Reader;
use serde_json::json;

/// A browser, or a loud word that nothing was tested; in CI that is a failure.
async fn browser() -> Option<Browser> {
    let found = Browser::launch().await;
    if found.is_none() {
        let why = "NOT TESTED: the chat page, for want of a Chromium (Debian: apt-get install chromium)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        // Not captured, unlike what `eprintln!` writes.
        std::io::stderr().write_all(format!("\n{why}\n\n").as_bytes()).unwrap();
    }
    found
}

fn numbered(what: &str, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{what} {n}")).collect()
}

#[tokio::test]
async fn the_page_comes_with_headers_that_keep_it_harmless() {
    let server = Server::open(&[]).await;
    let page = server.get("/").await;
    let policy = page.head.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    assert!(page.head.contains("content-type: text/html; charset=utf-8"), "{}", page.head);
    for forbidden in ["<script>", "<style", "style=", "onclick", "//"] {
        assert!(!page.body.replace("<!doctype", "").contains(forbidden), "{forbidden}");
    }
    let tag = page.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again = server.request("GET", "/", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));

    let version = tag.trim_matches('"');
    for (file, kind) in [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")] {
        let answer = server.get(&format!("/page/{version}/{file}")).await;
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
        assert!(answer.head.contains("immutable") && answer.head.contains("nosniff"), "{}", answer.head);
        let older = server.get(&format!("/page/older/{file}")).await;
        assert!(older.status == 200 && older.head.contains("cache-control: no-store"), "{}", older.head);
    }
    for path in [format!("/page/{version}/other.js"), format!("/page/{version}/"), "/page/../Cargo.toml".to_owned()] {
        assert_eq!(server.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn its_modules_keep_their_promises() {
    let Some(browser) = browser().await else { return };
    let server = Server::open(&[]).await;
    let mut tab = browser.open(&format!("http://{}/", server.address)).await;
    let tests = include_str!("units.js");
    let report = tab.eval(&format!("(async () => {{ {tests} }})()")).await;
    let failed = report["failed"].as_array().unwrap();
    assert!(failed.is_empty(), "{report:#}");
    assert!(report["passed"].as_u64() >= Some(8), "{report:#}");
}

#[tokio::test]
async fn two_people_chat_by_keyboard_alone_and_every_text_is_text() {
    let Some(browser) = browser().await else { return };
    // So that what the browser reads is compressed.
    let server = Server::open(&["--deflate-threshold", "0"]).await;
    let url = format!("http://{}/", server.address);
    let (mut ann, mut bob) = (Reader::open(&browser, &url).await, Reader::open(&browser, &url).await);
    ann.sign_in_by_keyboard("ann", "lobby").await;
    bob.sign_in_by_keyboard("bob", "lobby").await;

    let hostile =
        ["<script>window.pwned = 1</script>", "<img src=x onerror='window.pwned = 1'>", "\u{202e}&lt;b>&amp; \"'"];
    for text in hostile {
        ann.say(text).await;
    }
    // Nothing else orders what two say at once.
    bob.sees(&hostile).await;
    bob.say("and hello").await;
    let all = [&hostile[..], &["and hello"]].concat();
    for reader in [&mut ann, &mut bob] {
        reader.sees(&all).await;
        let senders =
            reader.tab.eval("[...document.querySelectorAll('#entries .sender')].map(s => s.textContent)").await;
        assert_eq!(senders, json!(["ann", "ann", "ann", "bob"]));
        let times =
            "[...document.querySelectorAll('#entries time')].every(t => Date.now() - new Date(t.dateTime) < 6e5)";
        assert_eq!(reader.tab.eval(times).await, true);
        let alive = "window.pwned ?? document.querySelectorAll('#log :is(script, img, b)').length";
        assert_eq!(reader.tab.eval(alive).await, 0, "markup came alive");
    }
    let form = async |form: &str| server.metric(&format!("chat_deflate_frames_total{{form=\"{form}\"}}")).await;
    let compressed = form("shared").await + form("alone").await;
    assert!(compressed >= 8.0, "{compressed} of 8 messages were compressed for the browsers");
    ann.tab.until("it is announced", "announcer.textContent.includes('bob: and hello')").await;

    assert_eq!(ann.focus_order(FOCUS_ORDER[0]).await, FOCUS_ORDER, "what Tab reaches, and it is visible there");
    ann.enter("side").await;
    ann.say("nobody here").await;
    ann.sees(&["nobody here"]).await;
    bob.say("still there?").await;
    ann.tab.until("an unread message", "document.querySelector('#rooms .unread')?.firstChild.data === '1'").await;
    ann.tab.focus_on("#rooms button[value=lobby]").await;
    ann.tab.press("Enter").await;
    ann.sees(&[&all[..], &["still there?"]].concat()).await;
    bob.sees(&[&all[..], &["still there?"]].concat()).await;

    for reader in [&mut ann, &mut bob] {
        assert_eq!(reader.tab.eval("violations").await, json!([]));
        assert_eq!(reader.tab.complaints(), Vec::<String>::new());
    }
    assert!(bob.fits_a_phone().await);
    let (light, dark) = (bob.colours("light").await, bob.colours("dark").await);
    assert!(light.0 != dark.0 && light.1 >= 4.5 && dark.1 >= 4.5, "{light:?} {dark:?}");
    // That a violation would have been seen.
    ann.tab
        .eval("void document.head.append(Object.assign(document.createElement('style'), { textContent: 'p{}' }))")
        .await;
    ann.tab.until("the violation", "violations.length === 1").await;
}

const FOCUS_ORDER: [&str; 9] = ["sign-out", "lobby", "room", "join", "leave", "log", "content", "compose", "sign-out"];

#[tokio::test]
async fn who_goes_offline_queues_and_comes_back_with_nothing_lost_doubled_or_swapped() {
    let Some(browser) = browser().await else { return };
    let server = Server::open(&[]).await;
    let cable = Cable::to(server.address).await;
    let mut ann = Reader::open(&browser, &cable.url()).await;
    let mut bob = Reader::open(&browser, &format!("http://{}/", server.address)).await;
    ann.sign_in("ann", "lobby").await;
    bob.sign_in("bob", "lobby").await;
    // What is said before he is there is nothing to him.
    bob.connected().await;
    ann.say("before").await;
    bob.sees(&["before"]).await;

    // What goes up from now on is stored, but its answer is lost: it has to be sent again with the same id.
    cable.deafen();
    ann.say("ann 1").await;
    bob.sees(&["before", "ann 1"]).await;
    cable.cut();
    ann.tab.until("offline", "link.className === 'waiting'").await;
    let from_ann = numbered("ann", 25);
    for text in &from_ann[1..] {
        ann.say(text).await;
    }
    ann.tab.until("the count", "queue.textContent === '25 messages waiting to be sent'").await;
    let from_bob = numbered("bob", 3);
    for text in &from_bob {
        bob.say(text).await;
    }
    bob.tab.until("bob's words", "document.querySelectorAll('#entries li').length === 5").await;

    cable.mend();
    ann.has_seen("the rest goes out by itself").await;
    ann.say("written meanwhile").await;
    let mut all = vec!["before".to_owned(), "ann 1".to_owned()];
    all.extend(from_bob);
    all.extend_from_slice(&from_ann[1..]);
    all.push("written meanwhile".to_owned());
    for reader in [&mut ann, &mut bob] {
        reader.sees(&all).await;
        assert_eq!(reader.tab.eval("queue.textContent + limited.textContent + drafts.childElementCount").await, "0");
        assert_eq!(reader.tab.eval("violations").await, json!([]));
    }
    // Whoever does not wait as long as the node asks is refused hundreds of times.
    let refused = server.metric("chat_messages_refused_total{reason=\"rate_limited\"}").await;
    assert!((1.0..20.0).contains(&refused), "{refused}");
}

/// Ann on the page, behind a cable of her own, and bob, who has said that to her.
async fn have_heard(browser: &Browser, said: &str) -> (Server, Cable, Reader, Client) {
    let server = Server::open(&[]).await;
    let cable = Cable::to(server.address).await;
    let mut ann = Reader::open(browser, &cable.url()).await;
    let mut bob = Client::join(&server, "bob").await;
    ann.sign_in("ann", "global").await;
    ann.connected().await;
    bob.call("chat-message", json!({ "content": said })).await;
    ann.sees(&[said]).await;
    (server, cable, ann, bob)
}

#[tokio::test]
async fn a_reload_keeps_what_was_said_and_what_waits() {
    let Some(browser) = browser().await else { return };
    let (_server, cable, mut ann, mut bob) = have_heard(&browser, "one").await;
    cable.deafen();
    ann.say("two").await;
    bob.contents(2).await;
    cable.cut();
    ann.say("three").await;
    bob.call("chat-message", json!({ "content": "while away" })).await;
    cable.mend();
    ann.tab.reload().await;
    ann.sees(&["one", "two", "while away", "three"]).await;
    assert_eq!(bob.contents(2).await, ["while away", "three"]);
    ann.tab.until("an empty queue", "queue.textContent === '' && drafts.childElementCount === 0").await;
    ann.enter("lounge").await;
    ann.tab.reload().await;
    ann.tab.until("the room that was shown", "document.getElementById('room-name').textContent === 'lounge'").await;
}

#[tokio::test]
async fn who_signs_out_leaves_nothing_that_was_said_and_misses_nothing_when_back() {
    let Some(browser) = browser().await else { return };
    let (_server, cable, mut ann, mut bob) = have_heard(&browser, "said before").await;
    cable.cut();
    ann.say("never sent").await;
    ann.tab.eval("window.asked = []; window.confirm = (what) => asked.push(what) > 1").await;
    ann.sign_out().await;
    ann.tab.until("she is asked, and stays", "asked.length === 1 && !chat.hidden").await;
    ann.sign_out().await;
    ann.tab.until("she is out", "!welcome.hidden").await;
    let kept = ann.tab.eval("JSON.stringify({ ...sessionStorage })").await;
    let kept = kept.as_str().unwrap();
    assert!(!kept.contains("said before") && !kept.contains("never sent"), "{kept}");
    bob.call("chat-message", json!({ "content": "said meanwhile" })).await;
    cable.mend();
    ann.sign_in("ann", "global").await;
    ann.sees(&["said meanwhile"]).await;
}

/// As an older page, or another system at this address, might have left it.
#[tokio::test]
async fn a_kept_offset_that_is_none_is_dropped_and_what_may_be_missing_is_said() {
    let Some(browser) = browser().await else { return };
    let server = Server::open(&["--rate-limit", "1000"]).await;
    let mut ann = Reader::open(&browser, &format!("http://{}/", server.address)).await;
    ann.sign_in("ann", "lobby").await;
    ann.say("in the lobby").await;
    ann.sees(&["in the lobby"]).await;
    ann.enter("side").await;
    ann.say("at the side").await;
    ann.sees(&["at the side"]).await;
    ann.tab.eval(SPOIL).await;
    ann.tab.reload().await;
    ann.connected().await;
    ann.sees(&["at the side", GAP]).await;
    ann.say("still at the side").await;
    ann.sees(&["at the side", GAP, "still at the side"]).await;
    ann.tab.focus_on("#rooms button[value=lobby]").await;
    ann.tab.press("Enter").await;
    ann.say("still in the lobby").await;
    ann.sees(&["in the lobby", GAP, "still in the lobby"]).await;
}

const SPOIL: &str = r#"(() => {
    const set = Storage.prototype.setItem;
    Storage.prototype.setItem = function (key, text) {
        set.call(this, key, text.replace(/("position":)"[0-9a-f]{20}"/g, '$1"nowhere"'));
    };
})()"#;

#[tokio::test]
async fn a_limit_on_joins_is_waited_out() {
    let Some(browser) = browser().await else { return };
    let server = Server::open(&["--rooms-per-socket", "3"]).await;
    let mut ann = Reader::open(&browser, &format!("http://{}/", server.address)).await;
    ann.sign_in("ann", "lobby").await;
    ann.connected().await;
    // Faster than anybody could, and into the last to stay.
    let hurry = "for (let n = 1; n <= 8; n++) {
        document.getElementById('room').value = `room-${n}`;
        document.getElementById('join').requestSubmit();
        if (n < 8) document.getElementById('leave').click();
    }";
    ann.tab.eval(&format!("(() => {{ {hurry} }})()")).await;
    ann.say("here at last").await;
    ann.sees(&["here at last"]).await;
    let refused = server.metric("chat_messages_refused_total{reason=\"rate_limited\"}").await;
    assert!(refused > 0.5, "nothing had to be waited for");
    assert!((server.metric("chat_connections_total").await - 1.0).abs() < 0.5, "on one connection");
}

#[tokio::test]
async fn a_draining_node_is_left_and_what_the_next_one_cannot_show_is_a_gap() {
    let Some(browser) = browser().await else { return };
    let (first, second) = (Server::open(&["--drain-within", "4s"]).await, Server::open(&[]).await);
    let cable = Cable::to(first.address).await;
    let mut ann = Reader::open(&browser, &cable.url()).await;
    ann.sign_in("ann", "lobby").await;
    ann.say("to the first").await;
    ann.sees(&["to the first"]).await;
    let mut bob = Client::join_with(&second, json!({ "token": "bob", "room": "lobby" })).await.0;
    bob.call("chat-message", json!({ "content": "not for ann", "room": "lobby" })).await;
    bob.contents(1).await;

    cable.lead_to(second.address);
    first.signal(Signal::SIGTERM);
    ann.has_seen("moving").await;
    ann.say("to the second").await;
    ann.sees(&["to the first", GAP, "to the second"]).await;
    assert_eq!(bob.contents(1).await, ["to the second"]);
}

const GAP: &str = "Some messages are missing here: the server no longer holds them.";

#[tokio::test]
async fn a_silent_node_is_noticed_and_a_bad_token_asked_for_again() {
    let Some(browser) = browser().await else { return };
    let server = Server::open(&["--ping-interval", "400ms", "--ping-timeout", "400ms"]).await;
    let cable = Cable::to(server.address).await;
    let mut ann = Reader::open(&browser, &cable.url()).await;
    ann.sign_in("not a name!", "lobby").await;
    ann.tab
        .until("the refusal", "!welcome.hidden && document.getElementById('sign-in-error').textContent !== ''")
        .await;
    ann.sign_in("ann", "not a room").await;
    ann.tab.until("the refusal", "notice.textContent.includes('not a room')").await;
    ann.tab.focus("room").await;
    ann.tab.insert("lobby").await;
    ann.tab.press("Enter").await;
    ann.say("hello").await;
    ann.sees(&["hello"]).await;
    cable.deafen();
    ann.tab.until("it is noticed", "link.className === 'waiting'").await;
    cable.mend();
    ann.tab.focus("retry").await;
    ann.tab.press("Enter").await;
    ann.connected().await;
}

/// About ten seconds of a token that is late already, so that the page has time to be signed in.
#[tokio::test]
async fn who_is_signed_out_by_a_token_that_expires_signs_in_again_and_misses_nothing() {
    let Some(browser) = browser().await else { return };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), SECRET).unwrap();
    let server = Server::start(&["--jwt-secret-file", file.path().to_str().unwrap()]).await;
    let mut bob = Client::join(&server, &token(json!({ "sub": "bob" }))).await;
    let mut ann = Reader::open(&browser, &format!("http://{}/", server.address)).await;
    let late = jsonwebtoken::get_current_timestamp() - 21;
    ann.sign_in(&token(json!({ "sub": "ann", "exp": late })), "global").await;
    ann.say("hello").await;
    ann.sees(&["hello"]).await;
    // Who never reads answers no ping, and is gone before the token is.
    assert_eq!(bob.contents(1).await, ["hello"]);
    let asked = "!welcome.hidden && document.getElementById('sign-in-error').textContent.startsWith('Token expired')";
    ann.tab.until("the way in, and why", asked).await;
    bob.call("chat-message", json!({ "content": "meanwhile" })).await;
    ann.sign_in(&token(json!({ "sub": "ann" })), "global").await;
    ann.sees(&["hello", "meanwhile"]).await;
}
