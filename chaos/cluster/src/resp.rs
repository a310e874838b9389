//! As much of Redis's protocol (RESP2) as the harness needs to ask nodes things, over a connection of its own.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// An answer. Text that is no UTF-8 is shown with replacement characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RespValue {
    Text(String),
    Integer(i64),
    Nothing,
    List(Vec<RespValue>),
    Error(String),
}

impl RespValue {
    pub fn text(&self) -> Option<&str> {
        match self {
            RespValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn integer(&self) -> Option<i64> {
        match self {
            RespValue::Integer(integer) => Some(*integer),
            _ => None,
        }
    }
}

/// Who asks, where a server wants to know.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: String,
}

/// Deadlines are the caller's: a hung server never answers.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, login: Option<&Login>) -> io::Result<Connection> {
        Connection::over(TcpStream::connect(address).await?, login).await
    }

    pub(crate) async fn over(stream: TcpStream, login: Option<&Login>) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let mut connection = Connection { stream: BufReader::new(stream) };
        if let Some(login) = login {
            connection.enter(login).await?;
        }
        Ok(connection)
    }

    async fn enter(&mut self, login: &Login) -> io::Result<()> {
        let words = ["AUTH"].into_iter().chain(login.user.as_deref()).chain([login.password.as_str()]);
        match self.ask(&[&words.collect::<Vec<_>>()]).await?.pop() {
            Some(RespValue::Text(_)) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "refuses the user or the password")),
        }
    }

    /// Sends all commands at once; the answers come in their order.
    pub(crate) async fn ask(&mut self, commands: &[&[&str]]) -> io::Result<Vec<RespValue>> {
        let packed: String = commands.iter().map(|command| pack(command)).collect();
        self.stream.write_all(packed.as_bytes()).await?;
        let mut answers = Vec::with_capacity(commands.len());
        for _ in commands {
            answers.push(self.answer().await?);
        }
        Ok(answers)
    }

    async fn answer(&mut self) -> io::Result<RespValue> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| garbled(line))?;
        match kind {
            "+" => Ok(RespValue::Text(rest.to_owned())),
            "-" => Ok(RespValue::Error(rest.to_owned())),
            ":" => rest.parse().map(RespValue::Integer).map_err(|_| garbled(line)),
            "$" | "*" if rest == "-1" => Ok(RespValue::Nothing),
            "$" => self.bulk(rest.parse().map_err(|_| garbled(line))?).await,
            "*" => {
                let mut list = Vec::new();
                for _ in 0..rest.parse::<usize>().map_err(|_| garbled(line))? {
                    list.push(Box::pin(self.answer()).await?);
                }
                Ok(RespValue::List(list))
            }
            _ => Err(garbled(line)),
        }
    }

    async fn bulk(&mut self, length: usize) -> io::Result<RespValue> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        Ok(RespValue::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn garbled(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} is no answer of a Redis server"))
}

fn pack(command: &[&str]) -> String {
    let words = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", command.len(), words.collect::<String>())
}

/// One command on a connection of its own.
pub(crate) async fn ask_once(
    address: SocketAddr,
    login: Option<&Login>,
    commands: &[&[&str]],
) -> io::Result<Vec<RespValue>> {
    Connection::open(address, login).await?.ask(commands).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn every_kind_of_answer_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let answers = b"+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n$5\r\na\r\nbc\r\n*2\r\n:1\r\n*1\r\n$0\r\n\r\n";
            stream.write_all(answers).await.expect("written");
            stream
        };
        let commands: [&[&str]; 6] = [&["PING"]; 6];
        let (_open, answers) = tokio::join!(server, ask_once(address, None, &commands));
        let nested = RespValue::List(vec![RespValue::Text(String::new())]);
        assert_eq!(
            answers.expect("six answers"),
            [
                RespValue::Text("OK".to_owned()),
                RespValue::Error("ERR no".to_owned()),
                RespValue::Integer(-7),
                RespValue::Nothing,
                RespValue::Text("a\r\nbc".to_owned()),
                RespValue::List(vec![RespValue::Integer(1), nested]),
            ]
        );
    }

    #[test]
    fn commands_carry_their_lengths_in_bytes() {
        assert_eq!(pack(&["GET", "ä"]), "*2\r\n$3\r\nGET\r\n$2\r\nä\r\n");
    }
}
