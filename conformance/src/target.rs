//! Where the archive under test is, and as whom it is spoken to.

use std::str::FromStr;

/// An application entity: `AE@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationEntity {
    /// The called AE title, 1 to 16 characters.
    pub ae_title: String,
    /// Host and port, as the resolver takes them.
    pub address: String,
}

impl FromStr for ApplicationEntity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ae_title, address) = text.split_once('@').ok_or("write it as AE@HOST:PORT")?;
        if ae_title.is_empty() || ae_title.len() > 16 {
            return Err("an AE title has 1 to 16 characters (PS3.5 6.2)".into());
        }
        let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            return Err("the address lacks a port: AE@HOST:PORT".into());
        }
        Ok(Self {
            ae_title: ae_title.to_owned(),
            address: address.to_owned(),
        })
    }
}

/// The archive under test.
#[derive(Clone, Debug)]
pub struct Target {
    /// Root of the DICOMweb service, without a slash at its end.
    pub web: String,
    /// Bearer token, when the archive asks for one.
    pub token: Option<String>,
    /// The Storage SCP, when DIMSE is to be checked.
    pub dimse: Option<ApplicationEntity>,
}

impl Target {
    /// Returns a target whose web root carries no slash at its end.
    pub fn new(web: &str, token: Option<String>, dimse: Option<ApplicationEntity>) -> Self {
        Self {
            web: web.trim_end_matches('/').to_owned(),
            token,
            dimse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_entity_is_read_from_its_usual_notation() {
        let entity: ApplicationEntity = "ISOCENTER@127.0.0.1:11112".parse().unwrap();
        assert_eq!(entity.ae_title, "ISOCENTER");
        assert_eq!(entity.address, "127.0.0.1:11112");
    }

    #[test]
    fn an_application_entity_without_port_or_with_a_long_title_is_refused() {
        assert!("ISOCENTER@127.0.0.1".parse::<ApplicationEntity>().is_err());
        assert!("A_TITLE_OF_17_CHR@h:1".parse::<ApplicationEntity>().is_err());
        assert!("127.0.0.1:11112".parse::<ApplicationEntity>().is_err());
    }
}
