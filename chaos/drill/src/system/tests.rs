//! A system file is read whole, its mistakes all at once, and a drill asks of a system what that can show.

use serde_json::json;

use super::*;
use crate::{Mistakes, Overrides, load};

const PLAIN: &str = r#"
format   = 1
title    = "A server of somebody else"
contract = "at_most_once"

[start]
command   = ["node", "server.js"]
arguments = ["--port", "{port}"]
env       = { REDIS = "{redis}", PING = "{ping_interval_ms}" }

[join]
event     = "enter"
arguments = ["{room}"]

[send]
event     = "say"
arguments = ["{room}", { text = "{text}" }]

[received]
event = "said"
text  = "/0/text"
"#;

fn read(text: &str) -> Result<System, Mistakes> {
    System::from_text("x.toml", "x", "/srv".into(), text)
}

fn mistakes(text: &str) -> String {
    read(text).expect_err("it has mistakes").to_string()
}

#[test]
fn the_reference_system_is_one_of_them() {
    let system = System::reference();
    assert!(system.is_reference() && system.dialect.is_none());
    let drill = load("primary-kill", &Overrides::default()).expect("a sound drill");
    assert_eq!(drill.system, system);
    let (program, _) = system.program(&drill, "/bin/chat-node");
    assert_eq!((program.command, program.folder), (PathBuf::from("/bin/chat-node"), None));
    let told = program.arguments.join(" ");
    assert!(told.contains("--ping-interval 2s") && told.contains("--delivery log --fence full"), "{told}");
}

#[test]
fn a_command_runs_in_the_folder_of_its_file_and_is_told_the_drills_settings() {
    let system = read(PLAIN).expect("a sound file");
    let drill = load("primary-kill", &Overrides::default()).expect("a sound drill");
    let (program, env) = system.program(&drill, "unused");
    assert_eq!((program.command.display().to_string(), program.folder), ("node".into(), Some("/srv".into())));
    assert_eq!(program.arguments, ["server.js", "--port", "{port}"]);
    assert_eq!((env["REDIS"].as_str(), env["PING"].as_str()), ("{redis}", "2000"));
    let relative = read(&PLAIN.replace("\"node\"", "\"bin/serve\"")).expect("a sound file");
    assert_eq!(relative.program(&drill, "").0.command, PathBuf::from("/srv/bin/serve"));
}

#[test]
fn what_a_file_says_of_events_is_how_the_server_is_spoken_to() {
    let text = PLAIN.replace("[join]", "[connect]\nauth = { name = \"{user}\", v = 2 }\n[join]\njoined = \"entered\"");
    let dialect = read(&text).expect("a sound file").dialect.expect("a dialect");
    assert_eq!(dialect.connect.auth, Some(json!({ "name": "{user}", "v": 2 })));
    assert_eq!((dialect.connect.path.as_str(), dialect.connect.namespace.as_str()), ("/socket.io/", "/"));
    assert_eq!(dialect.join.expect("a join").joined.as_deref(), Some("entered"));
    assert_eq!(dialect.send.ask.arguments, [json!("{room}"), json!({ "text": "{text}" })]);
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let wrong = r#"format   = 2
title    = "x"
contract = "at_most_one"

[start]
arguments = ["--port", "{prot}"]

[ready]
http = "health"

[join]
event     = "enter"
arguments = ["{rom}"]

[send]
event     = "say"
arguments = "{text}"
retrie    = true

[received]
event = "said"
"#;
    let told = mistakes(wrong);
    for expected in [
        "x.toml:1:1: `format` is 2; this version reads format 1",
        "x.toml:3:12: `contract`: `at_most_one` is unknown (known: acked_is_durable, at_most_once); did you mean \
         `at_most_once`?",
        "x.toml:5:1: `start` needs a `command` or an `image`",
        "x.toml:6:24: `start.arguments`: unknown mark {prot}",
        "did you mean `{port}`?",
        "x.toml:9:8: `ready.http`: expected a path that begins with `/`",
        "x.toml:13:13: `join.arguments`: unknown mark {rom}",
        "did you mean `{room}`?",
        "x.toml:17:13: ",
        "x.toml:18:1: unknown key `send.retrie`; did you mean `retry`?",
        "x.toml:20:1: `received.text` is missing",
        "9 mistakes; nothing was started",
    ] {
        assert!(told.contains(expected), "{expected}\nis not in\n{told}");
    }
}

#[test]
fn what_can_be_judged_is_judged_whatever_else_cannot_be_read() {
    let wrong = r#"format   = 1
contract = "at_most_one"

[start]
command = ["{nod}"]

[join]
event     = "enter"
arguments = []
error     = "error"

[leave]
arguments = "{room}"

[send]
arguments = ["{room}"]
retry     = true

[recieved]
text  = "0/text"
id    = "/0/id"
"#;
    let told = mistakes(wrong);
    for expected in [
        "x.toml:1:1: `title` is missing",
        "x.toml:2:12: `contract`: `at_most_one` is unknown",
        "x.toml:5:12: `start.command`: unknown mark {nod}",
        "x.toml:9:13: `join.arguments`: holds no {room}",
        "x.toml:10:13: `join.error`: must begin with an argument's number",
        "x.toml:12:1: `leave.event` is missing",
        "x.toml:13:13: `leave.arguments`: ",
        "x.toml:15:1: `send.event` is missing",
        "x.toml:16:13: `send.arguments`: holds no {text}",
        "x.toml:17:13: `send.retry`: needs {id} in `send.arguments`",
        "x.toml:19:2: unknown key `recieved`; did you mean `received`?",
        "`received.event` is missing",
        "x.toml:20:9: `received.text`: must begin with an argument's number",
        "x.toml:21:9: `received.id`: `send.arguments` hold no {id} that could come back",
        "14 mistakes; nothing was started",
    ] {
        assert!(told.contains(expected), "{expected}\nis not in\n{told}");
    }
}

#[test]
fn what_cannot_be_read_gives_no_cause_for_a_second_mistake() {
    let unread = |from: &str, to: &str| mistakes(&PLAIN.replace(from, to));
    for told in [
        unread(r#"arguments = ["{room}", { text = "{text}" }]"#, "arguments = 5"),
        unread(r#"command   = ["node", "server.js"]"#, r#"command = ["{nod}"]"#),
        unread("[join]", "[jion]"),
        mistakes(
            "format = 1\ntitle = \"x\"\ncontract = \"at_most_once\"\nspeaks = \"contrct\"\nstart.command = [\"x\", \"{listen}\"]",
        ),
    ] {
        assert!(told.ends_with("\n1 mistake; nothing was started"), "{told}");
    }
}

#[test]
fn a_mark_that_is_not_closed_is_told_where_it_stands_and_is_not_missed_too() {
    for (from, to, told) in [
        (r#""{redis}""#, r#""{redis""#, "`start.env.REDIS`: unclosed mark {redis; did you mean `{redis}`?"),
        (r#""{port}""#, r#""127.0.0.1:{port/x""#, "`start.arguments`: unclosed mark {port; did you mean `{port}`?"),
        (r#"["{room}"]"#, r#"["{room"]"#, "`join.arguments`: unclosed mark {room; did you mean `{room}`?"),
        (r#""{text}""#, r#""{txt""#, "`send.arguments`: unclosed mark {txt; did you mean `{text}`?"),
    ] {
        let mistakes = mistakes(&PLAIN.replace(from, to));
        assert!(mistakes.contains(told) && mistakes.ends_with("\n1 mistake; nothing was started"), "{mistakes}");
    }
    for text in ["a {", "{ port", "{Port", "{port }"] {
        read(&PLAIN.replace(r#""--port""#, &format!("{text:?}"))).expect("it is text");
    }
}

#[test]
fn an_image_has_a_name_that_an_engine_takes() {
    let named = |name: &str| read(&PLAIN.replace("[start]", &format!("[start]\nimage = {name:?}")));
    let lower = "what stands before its tag must be lower case";
    for (name, why) in [
        ("", "expected one word"),
        ("UPPER x", "expected one word"),
        (" x", "expected one word"),
        ("UPPER", lower),
        ("me/Chat:1", lower),
        ("Host:5000/me/Chat", lower),
        ("x:", "expected registry/name:tag"),
        ("x/", "expected registry/name:tag"),
        ("/x", "expected registry/name:tag"),
        ("x:1:2", "expected registry/name:tag"),
        ("x@", "expected registry/name:tag"),
        ("https://x/y", "expected registry/name:tag"),
        ("{name}", "expected registry/name:tag"),
    ] {
        let told = named(name).expect_err("it has a mistake").to_string();
        let expected = format!("x.toml:7:9: `start.image`: {name:?} is no image's name: {why}");
        assert!(told.starts_with(&expected) && told.ends_with("\n1 mistake; nothing was started"), "{told}");
    }
    for name in [
        "x",
        "me/chat:V1.2-rc_3",
        "localhost/x",
        "Registry.Example:5000/team/chat:1",
        "HOST/chat",
        "x@sha256:0123",
        "host:5000/x_y.z-a:1@sha256:0123",
    ] {
        assert_eq!(named(name).expect("a sound file").start.image.as_deref(), Some(name));
    }
}

#[test]
fn a_node_is_told_where_it_listens() {
    let start = r#"arguments = ["--port", "{port}"]"#;
    let told = mistakes(&PLAIN.replace(start, r#"arguments = ["--name", "{name}"]"#));
    let why = "x.toml:6:1: `start`: no {listen} and no {port} is in `command`, `arguments` or `env`";
    assert!(told.contains(why) && told.ends_with("\n1 mistake; nothing was started"), "{told}");
    for text in [
        PLAIN.replace(start, r#"arguments = ["--at={listen}"]"#),
        PLAIN.replace(start, "").replace("\"server.js\"", "\"server.js\", \"-p{port}\""),
        PLAIN.replace(start, "").replace("REDIS =", "PORT = \"{port}\", REDIS ="),
        PLAIN
            .replace(start, "")
            .replace("command   = [\"node\", \"server.js\"]", "image = \"x:1\"")
            .replace("REDIS =", "PORT = \"{port}\", REDIS ="),
    ] {
        read(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    }
}

#[test]
fn an_event_has_a_name() {
    for (table, event) in [("join", "enter"), ("send", "say"), ("received", "said")] {
        let told = mistakes(&PLAIN.replace(&format!("{event:?}"), r#""""#));
        assert!(told.contains(&format!("`{table}.event`: names no event\n1 mistake")), "{told}");
    }
}

#[test]
fn a_command_that_is_nowhere_is_told_unless_an_image_is_run() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().as_os_str();
    let drill = |text: &str, backend| {
        let system = System::from_text("x.toml", "x", place.path().into(), text).expect("a sound file");
        let overrides = Overrides { system: Some(system), backend: Some(backend), ..Overrides::default() };
        load("primary-kill", &overrides).expect("they fit")
    };
    let missing = |text: &str| drill(text, Backend::Processes).missing_program(path);
    let told = missing(PLAIN).expect("it is nowhere");
    assert_eq!(told, "x: `start.command`: node cannot be run: no folder of $PATH holds such a program");
    let told = missing(&PLAIN.replace("\"node\"", "\"./serve\"")).expect("it is nowhere");
    assert!(told.starts_with("x: `start.command`: ./serve cannot be run: No such file"), "{told}");
    assert_eq!(missing(&PLAIN.replace("\"node\"", "\"sh\"").replace("REDIS =", "PATH = \"/bin\", REDIS =")), None);
    let both = PLAIN.replace("[start]", "[start]\nimage = \"x:1\"");
    assert_eq!(drill(&both, Backend::Containers).missing_program(path), None);
    let reference = load("primary-kill", &Overrides::default()).expect("a sound drill");
    assert_eq!(reference.missing_program(path), None);
}

#[test]
fn a_system_file_is_known_by_its_keys_however_they_are_written() {
    for text in [PLAIN, &PLAIN.replace("[start]", "[ start ]"), &PLAIN.replace("[start]", "[strat]")] {
        assert!(System::is_meant(text), "{text}");
    }
    let start = "start = { command = [\"node\"] }\nformat = 1";
    assert!(System::is_meant(start) && System::is_meant(&format!("{start}\n[join]\nevent = ")), "{start}");
    let drill = crate::SHIPPED.iter().map(|shipped| shipped.text);
    for text in drill.chain(["# [start]\nformat = 1", "title = \"\"\"\n[start]\n\"\"\"\n[workload.fan_out]"]) {
        assert!(!System::is_meant(text), "{text}");
    }
}

#[test]
fn a_file_that_makes_no_sense_says_where() {
    let told = mistakes(&PLAIN.replace("text  = \"/0/text\"", "text  = \"/0/text\"\nid = \"/0/id\""));
    assert!(told.contains("x.toml:22:6: `received.id`: `send.arguments` hold no {id} that could come back"), "{told}");
    let others = r#"[connect]
auth = { id = "{id}" }
[leave]
event = "exit"
arguments = ["{room}", "{id}"]
[join]"#;
    let join = PLAIN.replace(r#"["{room}"]"#, r#"["{room}", "{text}"]"#);
    let told = mistakes(&join.replace("[join]", others));
    for (setting, mark) in [("connect.auth", "id"), ("join.arguments", "text"), ("leave.arguments", "id")] {
        let expected = format!("`{setting}`: unknown mark {{{mark}}} (known: {{user}} {{room}})");
        assert!(told.contains(&expected), "{expected}\nis not in\n{told}");
    }
    let told = mistakes(&PLAIN.replace("contract = ", "speaks = \"contract\"\ncontract = "));
    for table in ["join", "send", "received"] {
        let expected = format!("`{table}`: a system that speaks the contract has no events of its own");
        assert!(told.contains(&expected), "{told}");
    }
    let told = System::load("/nowhere/x.toml").expect_err("no file").to_string();
    assert!(told.starts_with("/nowhere/x.toml: cannot read the system file: No such file"), "{told}");
}

fn with(text: &str, overrides: Overrides) -> Result<crate::Drill, Mistakes> {
    load("primary-kill", &Overrides { system: Some(read(text).expect("a sound file")), ..overrides })
}

#[test]
fn a_drill_asks_a_system_only_what_it_claims_and_can_show() {
    use chaos_checkers::Rule;
    let drill = with(PLAIN, Overrides::default()).expect("they fit");
    assert_eq!(drill.expect.contract, Contract::AtMostOnce);
    assert_eq!(drill.expect.exercises, [Rule::R2, Rule::R4, Rule::R5, Rule::R6, Rule::R13, Rule::R14]);
    let contract = Some(Contract::AckedIsDurable);
    let drill = with(PLAIN, Overrides { contract, ..Overrides::default() }).expect("they fit");
    assert_eq!(drill.expect.contract, Contract::AckedIsDurable);
    assert!(drill.expect.exercises.contains(&Rule::R1) && !drill.expect.exercises.contains(&Rule::R12));
    assert!(!drill.has_log());
    // One that speaks the contract promises no offsets by that.
    let stock = include_str!("../../../../fixtures/systems/socketioxide/socketioxide.toml");
    assert!(!with(stock, Overrides::default()).expect("they fit").has_log());
}

#[test]
fn a_system_that_does_not_fit_the_drill_is_refused_by_name() {
    use crate::Fence;
    let refused = |overrides| with(PLAIN, overrides).expect_err("refused").to_string();
    let fence = refused(Overrides { fence: Some(Fence::None), ..Overrides::default() });
    assert!(fence.contains("`--fence` is a setting of the reference system; x has no such thing"), "{fence}");
    for (drill, setting) in [("no-fence", "fence`: `none`"), ("pubsub-primary-kill", "delivery`: `pubsub`")] {
        let system = |text: &str| Overrides { system: Some(read(text).expect("a sound file")), ..Overrides::default() };
        let told = load(drill, &system(PLAIN)).expect_err("refused").to_string();
        let why = format!("`cluster.{setting} is a setting of the reference system; x has no such thing\n1 mistake");
        assert!(told.starts_with(&format!("{drill}:1")) && told.contains(&why), "{told}");
        // One that is told is what the drill is about.
        let has = PLAIN.replace("REDIS =", "FENCE = \"{fence}\", DELIVERY = \"{delivery}\", REDIS =");
        let plan = crate::Plan::of(load(drill, &system(&has)).expect("they fit"), None, String::new()).to_string();
        let shown = setting.replace(['`', ':'], "");
        assert!(plan.contains(&shown), "{shown} is not in:\n{plan}");
    }
    let containers = refused(Overrides { backend: Some(Backend::Containers), ..Overrides::default() });
    assert!(containers.contains("x names no `start.image`, which the backend `containers` needs"), "{containers}");
    let image = PLAIN.replace("command   = [\"node\", \"server.js\"]", "image = \"x:1\"");
    let processes = with(&image, Overrides::default()).expect_err("refused").to_string();
    assert!(processes.contains("x is an image and no command: it needs `--backend containers`"), "{processes}");
}
