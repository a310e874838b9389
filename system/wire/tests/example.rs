//! The example, run: real socketioxide over the wrapper, against a plain WebSocket client.

#[path = "../examples/chat.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod chat;

use std::time::{Duration, Instant};

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

/// In the room for certain: socketioxide answers CONNECT before the handler runs, and says nothing of events that come
/// in between.
async fn enter(url: &str) -> Client {
    let (mut client, began) = (connect(url).await, Instant::now());
    loop {
        client.send(Message::text(r#"42["say","ready"]"#)).await.unwrap();
        let heard = async { while next(&mut client).await != r#"42["say","ready"]"# {} };
        if tokio::time::timeout(Duration::from_millis(200), heard).await.is_ok() {
            return client;
        }
        assert!(began.elapsed() < SOON, "who says something never hears it");
    }
}

/// The next packet that is not somebody's entering.
async fn heard(client: &mut Client) -> String {
    loop {
        let packet = next(client).await;
        if packet != r#"42["say","ready"]"# {
            return packet;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_says_everybody_gets_in_order_and_the_ack_comes_first() {
    let url = serve().await;
    let (mut ann, mut bob) = (enter(&url).await, enter(&url).await);
    for number in 0..200 {
        ann.send(Message::text(format!(r#"42{number}["say",{number}]"#))).await.unwrap();
    }
    let (mut acks, mut said) = (0, 0);
    while said < 200 {
        let received = heard(&mut ann).await;
        if received == format!("43{acks}[]") {
            acks += 1;
        } else {
            assert_eq!(received, format!(r#"42["say",{said}]"#));
            said += 1;
            assert!(acks >= said, "a message came before its ack");
        }
    }
    for number in 0..200 {
        assert_eq!(heard(&mut bob).await, format!(r#"42["say",{number}]"#));
    }
}

/// Clients come while a member never stops talking: the room's frames are ready before socketioxide's writer runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_overtakes_the_answer_to_connect() {
    let url = serve().await;
    let mut talker = enter(&url).await;
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
