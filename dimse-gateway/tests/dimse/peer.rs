//! A peer made of raw bytes, written apart from the gateway's own encoders, so that it can also do what no library would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const J2K_LOSSLESS: &str = "1.2.840.10008.1.2.4.90";

/// A type and a body with its length before it, in two bytes.
pub(crate) fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut item = vec![kind, 0];
    item.extend_from_slice(&(body.len() as u16).to_be_bytes());
    item.extend_from_slice(body);
    item
}

pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut pdu = vec![kind, 0];
    pdu.extend_from_slice(&(body.len() as u32).to_be_bytes());
    pdu.extend_from_slice(body);
    pdu
}

pub(crate) fn pdv(context_id: u8, control: u8, fragment: &[u8]) -> Vec<u8> {
    let mut pdv = ((fragment.len() + 2) as u32).to_be_bytes().to_vec();
    pdv.extend_from_slice(&[context_id, control]);
    pdv.extend_from_slice(fragment);
    pdv
}

/// An A-ASSOCIATE-RQ, piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) protocol_version: u16,
    pub(crate) called: String,
    pub(crate) calling: String,
    pub(crate) application_context: String,
    pub(crate) contexts: Vec<(u8, String, Vec<String>)>,
    pub(crate) max_pdu: u32,
    pub(crate) user_items: Vec<u8>,
    pub(crate) more_items: Vec<u8>,
}

impl Request {
    /// Verification in context 1, CT in context 3 (Implicit VR alone) and 5 (Explicit VR alone).
    pub(crate) fn usual() -> Self {
        Self::with(&[
            (1, VERIFICATION, &[IMPLICIT]),
            (3, CT, &[IMPLICIT]),
            (5, CT, &[EXPLICIT]),
        ])
    }

    pub(crate) fn with(contexts: &[(u8, &str, &[&str])]) -> Self {
        Self {
            protocol_version: 1,
            called: "ISOCENTER".into(),
            calling: "TESTER".into(),
            application_context: "1.2.840.10008.3.1.1.1".into(),
            contexts: contexts
                .iter()
                .map(|(id, class, syntaxes)| {
                    let syntaxes = syntaxes.iter().map(|&s| s.to_owned()).collect();
                    (*id, (*class).to_owned(), syntaxes)
                })
                .collect(),
            max_pdu: 16_384,
            user_items: Vec::new(),
            more_items: Vec::new(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = self.protocol_version.to_be_bytes().to_vec();
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(format!("{:<16}{:<16}", self.called, self.calling).as_bytes());
        body.extend_from_slice(&[0; 32]);
        body.extend(item(0x10, self.application_context.as_bytes()));
        body.extend_from_slice(&self.more_items);
        for (id, class, syntaxes) in &self.contexts {
            let mut context = vec![*id, 0, 0, 0];
            context.extend(item(0x30, class.as_bytes()));
            for syntax in syntaxes {
                context.extend(item(0x40, syntax.as_bytes()));
            }
            body.extend(item(0x20, &context));
        }
        let mut user = item(0x51, &self.max_pdu.to_be_bytes());
        user.extend(item(0x52, b"1.2.3.4"));
        user.extend_from_slice(&self.user_items);
        body.extend(item(0x50, &user));
        pdu(0x01, &body)
    }
}

/// A command set.
pub(crate) fn command(elements: &[(u16, &[u8])]) -> Vec<u8> {
    let mut set = Vec::new();
    for (number, value) in elements {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        set.extend_from_slice(&[0, 0]);
        set.extend_from_slice(&number.to_le_bytes());
        set.extend_from_slice(&(value.len() as u32).to_le_bytes());
        set.extend_from_slice(&value);
    }
    set
}

pub(crate) fn echo_rq(message_id: u16) -> Vec<u8> {
    command(&[
        (0x0002, VERIFICATION.as_bytes()),
        (0x0100, &[0x30, 0]),
        (0x0110, &message_id.to_le_bytes()),
        (0x0800, &[1, 1]),
    ])
}

pub(crate) fn store_rq(message_id: u16, instance: &str) -> Vec<u8> {
    command(&[
        (0x0002, CT.as_bytes()),
        (0x0100, &[1, 0]),
        (0x0110, &message_id.to_le_bytes()),
        (0x0700, &[0, 0]),
        (0x0800, &[0, 0]),
        (0x1000, instance.as_bytes()),
    ])
}

/// A response, element by element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) BTreeMap<u16, Vec<u8>>);

impl Answer {
    fn decode(mut set: &[u8]) -> Self {
        let mut elements = BTreeMap::new();
        while !set.is_empty() {
            assert_eq!(&set[..2], &[0, 0]);
            let number = u16::from_le_bytes([set[2], set[3]]);
            let length = u32::from_le_bytes([set[4], set[5], set[6], set[7]]) as usize;
            elements.insert(number, set[8..8 + length].to_vec());
            set = &set[8 + length..];
        }
        Self(elements)
    }

    pub(crate) fn number(&self, element: u16) -> u16 {
        let value = &self.0[&element];
        u16::from_le_bytes([value[0], value[1]])
    }

    pub(crate) fn status(&self) -> u16 {
        self.number(0x0900)
    }

    pub(crate) fn text(&self, element: u16) -> String {
        let value = String::from_utf8(self.0[&element].clone()).unwrap();
        value.trim_end_matches(['\0', ' ']).to_owned()
    }
}

/// An A-ASSOCIATE-AC.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) contexts: Vec<(u8, u8, String)>,
    pub(crate) user_items: Vec<(u8, Vec<u8>)>,
}

fn items(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        all.push((bytes[0], bytes[4..4 + length].to_vec()));
        bytes = &bytes[4 + length..];
    }
    all
}

impl Accept {
    fn decode(body: &[u8]) -> Self {
        assert_eq!(&body[..2], &[0, 1]);
        let mut accept = Self {
            contexts: Vec::new(),
            user_items: Vec::new(),
        };
        for (kind, body) in items(&body[68..]) {
            match kind {
                0x10 => assert_eq!(body, b"1.2.840.10008.3.1.1.1"),
                0x21 => {
                    let syntaxes = items(&body[4..]);
                    assert_eq!(syntaxes.len(), 1, "exactly one transfer syntax item");
                    let syntax = String::from_utf8(syntaxes[0].1.clone()).unwrap();
                    accept.contexts.push((body[0], body[2], syntax));
                }
                0x50 => accept.user_items = items(&body),
                other => panic!("item {other:02X} in an A-ASSOCIATE-AC"),
            }
        }
        accept
    }
}

pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Connects and opens the usual association.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut peer = Self::connect(address).await;
        peer.associate(&Request::usual()).await;
        peer
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads the next PDU; `None` where the gateway closed.
    pub(crate) async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let mut header = [0; 6];
            if self.0.read_exact(&mut header).await.is_err() {
                return None;
            }
            let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
            let mut body = vec![0; length as usize];
            self.0.read_exact(&mut body).await.unwrap();
            Some((header[0], body))
        };
        timeout(Duration::from_secs(10), reading)
            .await
            .expect("the gateway was silent for 10 s")
    }

    pub(crate) async fn associate(&mut self, request: &Request) -> Accept {
        self.send(&request.encode()).await;
        let (kind, body) = self.read().await.expect("closed instead of accepted");
        assert_eq!(kind, 0x02, "not accepted: {kind:02X} {body:?}");
        Accept::decode(&body)
    }

    /// Returns result, source and reason of the rejection that must come.
    pub(crate) async fn rejection(&mut self, request: &Request) -> (u8, u8, u8) {
        self.send(&request.encode()).await;
        let (kind, body) = self.read().await.expect("closed instead of rejected");
        assert_eq!((kind, body.len()), (0x03, 4), "not rejected: {kind:02X} {body:?}");
        assert!(self.read().await.is_none(), "the connection must be closed after it");
        (body[1], body[2], body[3])
    }

    /// Returns source and reason of the A-ABORT that must come, and sees the connection closed after it.
    pub(crate) async fn abort(&mut self) -> (u8, u8) {
        let (kind, body) = self.read().await.expect("closed without an A-ABORT");
        assert_eq!((kind, body.len()), (0x07, 4), "no A-ABORT: {kind:02X} {body:?}");
        assert!(self.read().await.is_none(), "the connection must be closed after it");
        (body[2], body[3])
    }

    pub(crate) async fn send_command(&mut self, context_id: u8, set: &[u8]) {
        self.send(&pdu(0x04, &pdv(context_id, 3, set))).await;
    }

    /// Sends a data set, cut into fragments of a size, each in a PDU of its own.
    pub(crate) async fn send_data(&mut self, context_id: u8, data: &[u8], size: usize) {
        let mut bytes = Vec::new();
        let mut fragments = data.chunks(size).peekable();
        while let Some(fragment) = fragments.next() {
            let control = if fragments.peek().is_none() { 2 } else { 0 };
            bytes.extend(pdu(0x04, &pdv(context_id, control, fragment)));
        }
        self.send(&bytes).await;
    }

    /// Reads the response that must come, out of as many PDUs as it takes.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut set = Vec::new();
        loop {
            let (kind, body) = self.read().await.expect("closed instead of answered");
            assert_eq!(kind, 0x04, "no answer: {kind:02X} {body:?}");
            let length = u32::from_be_bytes([body[0], body[1], body[2], body[3]]) as usize;
            assert_eq!(length + 4, body.len());
            assert_eq!(body[5] & 1, 1, "a command fragment");
            set.extend_from_slice(&body[6..]);
            if body[5] & 2 != 0 {
                return Answer::decode(&set);
            }
        }
    }

    pub(crate) async fn echo(&mut self) -> u16 {
        self.send_command(1, &echo_rq(77)).await;
        let answer = self.answer().await;
        assert_eq!((answer.number(0x0100), answer.number(0x0120)), (0x8030, 77));
        answer.status()
    }

    pub(crate) async fn store(&mut self, instance: &str, data: &[u8]) -> Answer {
        self.send_command(3, &store_rq(1, instance)).await;
        self.send_data(3, data, 16_000).await;
        self.answer().await
    }

    pub(crate) async fn release(&mut self) {
        self.send(&pdu(0x05, &[0; 4])).await;
        assert_eq!(self.read().await, Some((0x06, vec![0; 4])));
        assert!(self.read().await.is_none());
    }
}

/// Bytes that differ along their length, so that a swap or a loss shows.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}
