//! Values of settings that are more than text: networks, C-MOVE destinations, sizes.

use std::net::IpAddr;
use std::str::FromStr;

use isocenter_model::AeTitle;
use serde::Deserialize;

/// An address, or a network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

impl Network {
    /// Returns whether the address lies in the network. An IPv4 address that arrives mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, width) = bits(self.address.to_canonical());
        let (theirs, other) = bits(address.to_canonical());
        let shift = u32::from(width.saturating_sub(self.prefix_bits));
        width == other && (shift >= 128 || ours >> shift == theirs >> shift)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address
            .trim()
            .parse()
            .map_err(|_| "expected an address or a network".to_owned())?;
        let (_, width) = bits(address);
        let prefix_bits = match prefix {
            None => width,
            Some(p) => p
                .parse()
                .ok()
                .filter(|n| *n <= width)
                .ok_or("prefix length out of range")?,
        };
        Ok(Self { address, prefix_bits })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Where C-MOVE may send to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveDestination {
    /// AE title of the destination.
    pub ae_title: AeTitle,
    /// Host name or address, and port.
    pub address: String,
}

impl FromStr for MoveDestination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (title, address) = text.split_once('=').ok_or("expected AE=host:port")?;
        let port = address
            .rsplit_once(':')
            .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())?);
        port.ok_or("expected AE=host:port")?;
        Ok(Self {
            ae_title: AeTitle::parse(title).map_err(|e| e.to_string())?,
            address: address.to_owned(),
        })
    }
}

/// Returns the bytes that a text like `512`, `64MiB` or `16 GiB` stands for.
///
/// # Errors
/// When it is not a number with one of the known units, or does not fit 64 bits.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text.get(digits.len()..).unwrap_or("").trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err("expected bytes, KiB, MiB, GiB or TiB".into()),
    };
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|_| "expected a whole number".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let net: Network = "10.1.0.0/16".parse().unwrap();
        assert!(net.contains("10.1.2.3".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Network>()
                .unwrap()
                .contains("8.8.8.8".parse().unwrap())
        );
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse_size("16GiB"), Ok(16 << 30));
        assert_eq!(parse_size("512"), Ok(512));
        assert!(parse_size("12 parsecs").is_err());
        assert!(parse_size("99999999999TiB").is_err());
    }

    #[test]
    fn move_destinations_need_a_title_and_a_port() {
        assert!("PACS=host:104".parse::<MoveDestination>().is_ok());
        for bad in ["PACS", "=host:1", "PACS=host", "PACS=:104"] {
            assert!(bad.parse::<MoveDestination>().is_err(), "{bad}");
        }
    }
}
