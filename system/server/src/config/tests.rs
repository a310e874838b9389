//! Settings are read as documented, and wrong ones named by where they stand.

use std::path::PathBuf;

use super::*;

fn read(arguments: &[&str]) -> Result<Settings, WrongSetting> {
    Settings::from_arguments(["chat-node"].iter().chain(arguments))
}

fn wrong(arguments: &[&str]) -> String {
    match read(arguments) {
        Ok(settings) => panic!("{arguments:?} was taken: {settings:?}"),
        Err(wrong) => wrong.to_string(),
    }
}

/// A file that lives as long as the test.
struct File(tempfile::NamedTempFile);

impl File {
    fn with(content: &[u8]) -> File {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        File(file)
    }

    fn path(&self) -> String {
        PathBuf::from(self.0.path()).into_os_string().into_string().unwrap()
    }
}

const SECRET: &[u8] = b"a secret of at least thirty-two bytes\n";
const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/ed25519.pub.pem");
const REDIS: [&str; 4] = ["--auth", "none", "--redis", "redis://127.0.0.1:7000,redis://127.0.0.1:7001"];

/// A certificate and its key.
fn self_signed() -> (File, File) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    (File::with(made.cert.pem().as_bytes()), File::with(made.signing_key.serialize_pem().as_bytes()))
}

#[test]
fn a_certificate_and_its_key_make_a_listener() {
    let (cert, key) = self_signed();
    let settings = read(&["--tls-cert", &cert.path(), "--tls-key", &key.path()]).unwrap();
    assert!(settings.tls.is_some());
    assert!(read(&[]).unwrap().tls.is_none());
}

#[test]
fn nothing_is_needed_on_loopback() {
    let settings = read(&[]).unwrap();
    assert!(matches!(settings.delivery, Delivery::Memory));
    assert!(matches!(settings.auth, Authenticator::None));
    assert_eq!((settings.rate_limit, settings.join_rate_limit, settings.http_rate_limit), (10, 1, 100));
    assert_eq!((settings.rooms_per_socket, settings.connections_per_address), (50, 1000));
    assert_eq!((settings.ping_interval, settings.ping_timeout), (Duration::from_secs(25), Duration::from_secs(10)));
    assert_eq!((settings.handshake_timeout, settings.drain_within), (Duration::from_secs(10), Duration::from_secs(10)));
    assert_eq!(settings.history_window, Duration::from_mins(10));
    assert_eq!(settings.deflate_threshold, Some(1024));
    assert_eq!(read(&["--deflate-threshold", "0"]).unwrap().deflate_threshold, Some(0));
    assert_eq!(read(&["--deflate-threshold", "off"]).unwrap().deflate_threshold, None);
    assert!(settings.warnings().iter().any(|warning| warning.contains("AUTHENTICATION IS OFF")));
    assert!(settings.node_id.starts_with("chat-") && settings.traces.is_none());
}

#[test]
fn a_value_that_cannot_be_read_names_its_flag() {
    for (flag, values) in [
        ("--listen", &["", "3000", "localhost:3000", "127.0.0.1:70000"][..]),
        ("--rate-limit", &["0", "ten", "10.5", ""]),
        ("--join-rate-limit", &["0", "x"]),
        ("--http-rate-limit", &["0", "x"]),
        ("--connections-per-address", &["0", "x"]),
        ("--rooms-per-socket", &["0", "x"]),
        ("--ping-interval", &["0s", "25", "25 s", "forever"]),
        ("--ping-timeout", &["1ms", "x"]),
        ("--handshake-timeout", &["0s", "x"]),
        ("--history-window", &["0s", "x"]),
        ("--send-buffer", &["0", "65535", "x"]),
        ("--drain-within", &["0s", "x"]),
        ("--deflate-threshold", &["", "1000001", "on", "1k"]),
        ("--node-id", &["", "a b", "\u{e4}"]),
        ("--auth", &["", "basic"]),
        (
            "--cors-origin",
            &["", "a.example", "https://a.example/path", "https://x:443", "http://x:80", "https://x:99999"],
        ),
        ("--trusted-proxies", &["", "proxy", "10.0.0.0/33"]),
        ("--log", &["=", "info,=debug", "verbose", "info,verbose", "system_server", "system_server=verbose"]),
        ("--otlp-ratio", &["", "abc", "2", "NaN"]),
        ("--otlp-delay", &["", "abc", "0", "1s"]),
        ("--otlp-queue", &["", "abc", "0"]),
        ("--otlp-endpoint", &["collector", "collector:4318", "http://", "http://:4318", "ftp://h", "http://h:99999"]),
        ("--delivery", &["", "kafka"]),
        ("--fence", &["", "half"]),
        ("--redis", &["", "127.0.0.1:7000", "http://h", "redis://a,,redis://b", "redis://a/3"]),
    ] {
        for value in values {
            let line = wrong(&[flag, value]);
            assert!(line.starts_with(flag) && !line.contains('\n'), "{flag} {value:?}: {line}");
        }
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let secret = File::with(SECRET);
    let (file, ca) = (secret.path(), File::with(b"no certificate"));
    let (made, other) = (self_signed(), self_signed());
    let (cert, key, stranger) = (made.0.path(), made.1.path(), other.1.path());
    for (arguments, place) in [
        (&["--listen", "0.0.0.0:0"][..], "--jwt-secret-file"),
        (&["--redis", "redis://127.0.0.1:7000"], "--jwt-secret-file"),
        (&["--auth", "jwt"], "--jwt-secret-file"),
        (&["--auth", "none", "--jwt-secret-file", &file], "--auth"),
        (&["--auth", "none", "--jwt-public-key-file", PUBLIC], "--auth"),
        (&["--jwt-secret-file", &file, "--jwt-public-key-file", PUBLIC], "--jwt-public-key-file"),
        (&["--jwt-public-key-file", &file], "--jwt-public-key-file"),
        (&["--delivery", "log"], "--delivery"),
        (&["--delivery", "pubsub"], "--delivery"),
        (&[REDIS[0], REDIS[1], REDIS[2], REDIS[3], "--delivery", "memory"], "--delivery"),
        (&["--redis-username", "u"], "--redis-username"),
        (&["--redis-password-file", &file], "--redis-password-file"),
        (&["--redis-ca-file", &file], "--redis-ca-file"),
        (&[REDIS[0], REDIS[1], REDIS[2], REDIS[3], "--redis-ca-file", &file], "--redis-ca-file"),
        (&["--redis", "rediss://127.0.0.1:7000"], "--redis-ca-file"),
        (&["--redis", "rediss://127.0.0.1:7000", "--redis-ca-file", &ca.path()], "--redis-ca-file"),
        (&["--redis", "redis://a,rediss://b"], "--redis"),
        (&["--fence", "none"], "--fence"),
        (&[REDIS[0], REDIS[1], REDIS[2], REDIS[3], "--delivery", "pubsub", "--fence", "none"], "--fence"),
        (&["--broken", "no_sweep"], "--broken"),
        (&["--tls-cert", &cert], "--tls-cert"),
        (&["--tls-key", &key], "--tls-key"),
        (&["--tls-cert", &cert, "--tls-key", "/no/such/file"], "--tls-key"),
        (&["--tls-cert", &cert, "--tls-key", &file], "--tls-key"),
        (&["--tls-cert", "/no/such/file", "--tls-key", &key], "--tls-cert"),
        (&["--tls-cert", &file, "--tls-key", &key], "--tls-cert"),
        (&["--tls-cert", &cert, "--tls-key", &stranger], "--tls-cert"),
    ] {
        let line = wrong(arguments);
        assert!(line.starts_with(&format!("{place}: ")), "{arguments:?}: {line}");
    }
}

#[test]
fn a_secret_comes_from_a_file_and_stays_there() {
    let (short, empty) = (File::with(b"s3cret"), File::with(b"\n"));
    for path in [&short.path(), &empty.path(), "/no/such/file"] {
        let line = wrong(&["--jwt-secret-file", path]);
        assert!(line.contains(path) && !line.contains("s3cret"), "{line}");
    }
    let secret = File::with(SECRET);
    let settings = read(&["--jwt-secret-file", &secret.path(), "--listen", "0.0.0.0:0"]).unwrap();
    assert!(matches!(settings.auth, Authenticator::Jwt { .. }));
    assert!(!format!("{settings:?}").contains("thirty-two"));
}

#[test]
fn redis_means_the_log_unless_something_else_is_asked_for() {
    let password = File::with(b"hush\n");
    let path = password.path();
    let settings = read(&[&REDIS[..], &["--redis-username", "u", "--redis-password-file", &path]].concat()).unwrap();
    let Delivery::Log(redis) = settings.delivery else { panic!("{:?}", settings.delivery) };
    assert_eq!(redis.nodes, [("127.0.0.1".to_owned(), 7000), ("127.0.0.1".to_owned(), 7001)]);
    assert_eq!((redis.username.as_deref(), redis.password.as_deref()), (Some("u"), Some("hush")));
    assert!(!format!("{redis:?}").contains("hush"));
    let settings = read(&[&REDIS[..], &["--delivery", "pubsub"]].concat()).unwrap();
    assert!(matches!(settings.delivery, Delivery::PubSub(_)));
    assert!(settings.warnings().iter().any(|warning| warning.contains("messages are lost")));
    let weak = read(&[&REDIS[..], &["--fence", "none"]].concat()).unwrap();
    assert!(weak.warnings().iter().any(|warning| warning.contains("--fence none")));
}

#[test]
fn a_switch_that_breaks_the_node_must_exist() {
    let line = wrong(&[&REDIS[..], &["--broken", "no_swep"]].concat());
    assert!(line.starts_with("--broken: ") && line.contains("no_swep"), "{line}");
    let broken = read(&[&REDIS[..], &["--broken", "no_sweep,drop_fanout=50"]].concat()).unwrap();
    assert!(broken.warnings().iter().any(|warning| warning.contains("--broken")));
}

#[test]
fn traces_go_where_opentelemetry_says() {
    let settings = read(&["--otlp-endpoint", "http://127.0.0.1:4318/", "--otlp-delay", "100"]).unwrap();
    let traces = settings.traces.unwrap();
    assert_eq!((traces.endpoint.as_str(), traces.delay), ("http://127.0.0.1:4318", Duration::from_millis(100)));
    assert!((traces.ratio - 0.01).abs() < f64::EPSILON);
    for secret in ["ftp://u:s3cret@h", "http://u:s3cret@", "http://u:s3cret@h:99999", "u:s3cret@h"] {
        let line = wrong(&["--otlp-endpoint", secret]);
        assert!(line.starts_with("--otlp-endpoint: ") && !line.contains("s3cret"), "{line}");
    }
}

#[test]
fn help_is_not_wrong() {
    assert!(matches!(read(&["--help"]), Err(WrongSetting::Asked(text)) if text.contains("CHAT_REDIS_URLS")));
    assert!(matches!(read(&["--version"]), Err(WrongSetting::Asked(_))));
}
