//! Who may associate: a list of calling AE titles and the networks they come from.
//!
//! An AE title is what a peer says of itself, so it is no authentication; a list pairs it with addresses. Without a list
//! anyone may come from this machine, and anyone with a certificate that the TLS settings trust.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use isocenter_model::AeTitle;

use crate::DimseSettings;

/// A range of addresses in CIDR notation; one address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// One line of the peer list: `CT1` (from anywhere), `CT1@192.0.2.17`, `CT1@192.0.2.0/24`, `*@192.0.2.0/24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The calling AE title; `None` is any.
    pub calling_ae_title: Option<AeTitle>,
    /// Where it may come from; `None` is anywhere.
    pub network: Option<Network>,
}

/// Why a text names no peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The part before `@` is no AE title.
    #[error("a peer starts with its AE title, or with * for any")]
    AeTitle,
    /// The part after `@` is no address or network.
    #[error("a peer's network is an IP address, or one with a prefix length as in 192.0.2.0/24")]
    Network,
    /// `*` without a network would be everybody.
    #[error("a peer with any AE title needs a network")]
    Everybody,
}

impl Network {
    /// Returns whether an address lies in the network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = u32::from(network) ^ u32::from(address);
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = u128::from(network) ^ u128::from(address);
                differ.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = PeerError;
    fn from_str(text: &str) -> Result<Self, PeerError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| PeerError::Network)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().map_err(|_| PeerError::Network)?,
            None => longest,
        };
        if prefix > longest {
            return Err(PeerError::Network);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Peer {
    type Err = PeerError;
    fn from_str(text: &str) -> Result<Self, PeerError> {
        let (title, network) = match text.rsplit_once('@') {
            Some((title, network)) => (title, Some(network.parse()?)),
            None => (text, None),
        };
        let calling_ae_title = match title.trim() {
            "*" => None,
            title => Some(AeTitle::parse(title).map_err(|_| PeerError::AeTitle)?),
        };
        if calling_ae_title.is_none() && network.is_none() {
            return Err(PeerError::Everybody);
        }
        Ok(Self {
            calling_ae_title,
            network,
        })
    }
}

/// The rule that the settings amount to.
#[derive(Debug)]
pub(crate) enum PeerPolicy {
    /// Any calling AE title, from this machine.
    AnyOnLoopback,
    /// Any calling AE title: the TLS handshake has checked a client certificate.
    AnyWithCertificate,
    /// Those of the list.
    Listed {
        /// The list.
        peers: Vec<Peer>,
        /// Whether case is ignored.
        ignore_case: bool,
    },
}

impl PeerPolicy {
    /// Returns the rule of the settings. A list holds everywhere, also for this machine and for certified peers.
    pub(crate) fn of(settings: &DimseSettings) -> Self {
        if !settings.peers.is_empty() {
            Self::Listed {
                peers: settings.peers.clone(),
                ignore_case: settings.ignore_ae_title_case,
            }
        } else if settings.demands_client_certificates() {
            Self::AnyWithCertificate
        } else {
            Self::AnyOnLoopback
        }
    }

    /// Returns whether a peer may associate.
    pub(crate) fn admits(&self, calling: &AeTitle, address: IpAddr) -> bool {
        match self {
            Self::AnyOnLoopback => address.to_canonical().is_loopback(),
            Self::AnyWithCertificate => true,
            Self::Listed { peers, ignore_case } => peers.iter().any(|peer| {
                let titled = peer.calling_ae_title.as_ref().is_none_or(|title| {
                    title == calling || (*ignore_case && title.as_str().eq_ignore_ascii_case(calling.as_str()))
                });
                titled && peer.network.is_none_or(|network| network.contains(address))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let network: Network = "192.0.2.0/24".parse().unwrap();
        assert!(network.contains(address("192.0.2.255")));
        assert!(network.contains(address("::ffff:192.0.2.7")));
        assert!(!network.contains(address("192.0.3.0")));
        assert!(!network.contains(address("2001:db8::1")));
        let one: Network = "192.0.2.7".parse().unwrap();
        assert!(one.contains(address("192.0.2.7")) && !one.contains(address("192.0.2.6")));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(address("203.0.113.9")));
        let six: Network = "2001:db8::/32".parse().unwrap();
        assert!(six.contains(address("2001:db8:ffff::1")) && !six.contains(address("2001:db9::1")));
        let all_six: Network = "::/0".parse().unwrap();
        assert!(all_six.contains(address("2001:db9::1")));
    }

    #[test]
    fn what_names_no_peer_is_refused() {
        for (text, error) in [
            ("*", PeerError::Everybody),
            ("", PeerError::AeTitle),
            ("AN_AE_TITLE_TOO_LONG", PeerError::AeTitle),
            ("CT1@", PeerError::Network),
            ("CT1@hospital.example", PeerError::Network),
            ("CT1@192.0.2.0/33", PeerError::Network),
        ] {
            assert_eq!(text.parse::<Peer>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_list_pairs_the_title_with_its_network() {
        let settings = DimseSettings {
            peers: vec!["CT1@192.0.2.0/24".parse().unwrap(), "*@198.51.100.7".parse().unwrap()],
            ..DimseSettings::default()
        };
        let policy = PeerPolicy::of(&settings);
        let title = |text| AeTitle::parse(text).unwrap();
        assert!(policy.admits(&title("CT1"), address("192.0.2.1")));
        assert!(!policy.admits(&title("CT1"), address("192.0.3.1")));
        assert!(!policy.admits(&title("CT2"), address("192.0.2.1")));
        assert!(!policy.admits(&title("ct1"), address("192.0.2.1")));
        assert!(policy.admits(&title("ANYTHING"), address("198.51.100.7")));
        assert!(!policy.admits(&title("ANYTHING"), address("127.0.0.1")));

        let relaxed = PeerPolicy::of(&DimseSettings {
            ignore_ae_title_case: true,
            ..settings
        });
        assert!(relaxed.admits(&title("ct1"), address("192.0.2.1")));
    }

    #[test]
    fn without_a_list_only_this_machine_may_come() {
        let policy = PeerPolicy::of(&DimseSettings::default());
        let anyone = AeTitle::parse("ANYONE").unwrap();
        assert!(policy.admits(&anyone, address("127.0.0.1")));
        assert!(policy.admits(&anyone, address("::ffff:127.0.0.1")));
        assert!(!policy.admits(&anyone, address("192.0.2.1")));
    }
}
