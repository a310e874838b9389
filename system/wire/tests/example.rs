//! The example, run: real socketioxide over the wrapper, against a plain WebSocket client.

#[path = "../examples/chat.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod chat;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SOON: Duration = Duration::from_secs(30);

async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(chat::serve(listener));
    format!("ws://{address}/socket.io/?EIO=4&transport=websocket")
}

/// The next packet but pings.
async fn next(client: &mut Client) -> String {
    loop {
        let message = tokio::time::timeout(SOON, client.next()).await.expect("nothing came");
        let text = message.expect("the connection ended").unwrap().into_text().unwrap();
        if text.as_str() != "2" {
            return text.to_string();
        }
    }
}

/// Into the room; the answer to CONNECT comes before any frame of it.
async fn connect(url: &str) -> Client {
    let (mut client, _) = connect_async(url).await.unwrap();
    client.send(Message::text("40")).await.unwrap();
    let open = next(&mut client).await;
    assert!(open.starts_with("0{"), "{open}");
    let answer = next(&mut client).await;
    assert!(answer.starts_with("40{"), "overtook the answer to CONNECT: {answer}");
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_says_everybody_gets_in_order_and_the_ack_comes_first() {
    let url = serve().await;
    let (mut ann, mut bob) = (connect(&url).await, connect(&url).await);
    // Both are in the room when bob has got his own.
    while bob.send(Message::text(r#"421["say","ready"]"#)).await.is_ok() {
        if next(&mut bob).await == "431[]" && next(&mut bob).await == r#"42["say","ready"]"# {
            break;
        }
    }
    while next(&mut ann).await != r#"42["say","ready"]"# {}
    for number in 0..200 {
        ann.send(Message::text(format!(r#"42{number}["say",{number}]"#))).await.unwrap();
    }
    let (mut acks, mut said) = (0, 0);
    while said < 200 {
        let received = next(&mut ann).await;
        if received == format!("43{acks}[]") {
            acks += 1;
        } else {
            assert_eq!(received, format!(r#"42["say",{said}]"#));
            said += 1;
            assert!(acks >= said, "a message came before its ack");
        }
    }
    for number in 0..200 {
        assert_eq!(next(&mut bob).await, format!(r#"42["say",{number}]"#));
    }
}

/// Clients come while a member never stops talking: the room's frames are ready before socketioxide's writer runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_overtakes_the_answer_to_connect() {
    let url = serve().await;
    let mut talker = connect(&url).await;
    let talking = tokio::spawn(async move {
        loop {
            talker.send(Message::text(r#"42["say","x"]"#)).await.unwrap();
            next(&mut talker).await;
        }
    });
    for _ in 0..20 {
        let joining = futures_util::future::join_all((0..20).map(|_| connect(&url)));
        for mut client in joining.await {
            assert_eq!(next(&mut client).await, r#"42["say","x"]"#);
        }
    }
    talking.abort();
}
