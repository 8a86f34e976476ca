//! Who may come in, and whether there is room: everything that can end in an A-ASSOCIATE-RJ, PS3.8 9.3.4.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderASCEReason,
    AssociationRJServiceProviderPresentationReason, AssociationRJServiceUserReason, AssociationRJSource,
};
use isocenter_model::arrival::Refusal;
use isocenter_model::{AeTitle, InstanceSink, Route};

use super::negotiate::APPLICATION_CONTEXT_NAME;
use super::request::AssociateRequest;
use crate::DimseSettings;
use crate::observer::Rejection;
use crate::peers::PeerPolicy;

/// A peer that may come in. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) calling_ae_title: AeTitle,
    pub(crate) called_ae_title: AeTitle,
    _seat: Seat,
}

/// Decides over a request. The cheap checks come first, so that strangers reach neither the database nor a seat.
pub(crate) async fn admit(
    request: &AssociateRequest,
    peer: IpAddr,
    policy: &PeerPolicy,
    seats: &Seats,
    router: &Router<'_>,
) -> Result<Admitted, Rejection> {
    // Only the first bit is looked at, PS3.8 9.3.2.
    if request.protocol_version & 1 == 0 {
        return Err(Rejection::ProtocolVersion);
    }
    if request.application_context_name != APPLICATION_CONTEXT_NAME {
        return Err(Rejection::ApplicationContext);
    }
    let calling = title(&request.calling_ae_title).ok_or(Rejection::CallingAeTitle)?;
    if !policy.admits(&calling, peer) {
        return Err(Rejection::CallingAeTitle);
    }
    let called = title(&request.called_ae_title).ok_or(Rejection::CalledAeTitle)?;
    let seat = seats.take(&calling).ok_or(Rejection::LocalLimit)?;
    match router.route(&called, &calling, peer).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Rejection::CalledAeTitle),
        Err(Refusal::NotAuthorised) => return Err(Rejection::CallingAeTitle),
        Err(_) => return Err(Rejection::Congestion),
    }
    Ok(Admitted {
        calling_ae_title: calling,
        called_ae_title: called,
        _seat: seat,
    })
}

fn title(bytes: &[u8; 16]) -> Option<AeTitle> {
    AeTitle::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// Asks where a called AE title leads.
pub(crate) struct Router<'a> {
    pub(crate) sink: &'a dyn InstanceSink,
    pub(crate) ignore_case: bool,
}

impl Router<'_> {
    pub(crate) async fn route(
        &self,
        called: &AeTitle,
        calling: &AeTitle,
        peer: IpAddr,
    ) -> Result<Option<Route>, Refusal> {
        let route = self.sink.route(called, calling, peer).await?;
        let upper = called.as_str().to_ascii_uppercase();
        if route.is_some() || !self.ignore_case || upper == called.as_str() {
            return Ok(route);
        }
        // Titles are upper case by habit; ours are expected to be.
        match AeTitle::parse(&upper) {
            Ok(upper) => self.sink.route(&upper, calling, peer).await,
            Err(_) => Ok(None),
        }
    }
}

/// How many associations there are, in all and of each calling AE title.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    taken: Arc<Mutex<HashMap<AeTitle, usize>>>,
    most: usize,
    most_per_calling_ae_title: usize,
}

impl Seats {
    pub(crate) fn new(settings: &DimseSettings) -> Self {
        Self {
            taken: Arc::default(),
            most: settings.max_associations,
            most_per_calling_ae_title: settings.max_associations_per_calling_ae_title,
        }
    }

    fn take(&self, calling: &AeTitle) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let of_this = taken.get(calling).copied().unwrap_or(0);
        if all >= self.most || of_this >= self.most_per_calling_ae_title {
            return None;
        }
        taken.insert(calling.clone(), of_this + 1);
        Some(Seat {
            taken: Arc::clone(&self.taken),
            calling: calling.clone(),
        })
    }
}

/// Room for one association; free again when dropped.
#[derive(Debug)]
struct Seat {
    taken: Arc<Mutex<HashMap<AeTitle, usize>>>,
    calling: AeTitle,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.calling) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.calling);
            }
        }
    }
}

/// Returns the A-ASSOCIATE-RJ of a rejection.
pub(crate) fn reject(rejection: Rejection) -> AssociationRJ {
    use AssociationRJServiceProviderASCEReason as Acse;
    use AssociationRJServiceProviderPresentationReason as Presentation;
    use AssociationRJServiceUserReason as User;
    let (result, source) = match rejection {
        Rejection::ApplicationContext => (
            AssociationRJResult::Permanent,
            AssociationRJSource::ServiceUser(User::ApplicationContextNameNotSupported),
        ),
        Rejection::CallingAeTitle => (
            AssociationRJResult::Permanent,
            AssociationRJSource::ServiceUser(User::CallingAETitleNotRecognized),
        ),
        Rejection::CalledAeTitle => (
            AssociationRJResult::Permanent,
            AssociationRJSource::ServiceUser(User::CalledAETitleNotRecognized),
        ),
        Rejection::ProtocolVersion => (
            AssociationRJResult::Permanent,
            AssociationRJSource::ServiceProviderASCE(Acse::ProtocolVersionNotSupported),
        ),
        Rejection::Congestion => (
            AssociationRJResult::Transient,
            AssociationRJSource::ServiceProviderPresentation(Presentation::TemporaryCongestion),
        ),
        Rejection::LocalLimit => (
            AssociationRJResult::Transient,
            AssociationRJSource::ServiceProviderPresentation(Presentation::LocalLimitExceeded),
        ),
    };
    AssociationRJ { result, source }
}

#[cfg(test)]
mod tests {
    use dicom_ul::pdu::{Pdu, write_pdu};

    use super::*;

    #[test]
    fn rejections_carry_their_codes_on_the_wire() {
        for rejection in [
            Rejection::ApplicationContext,
            Rejection::CallingAeTitle,
            Rejection::CalledAeTitle,
            Rejection::ProtocolVersion,
            Rejection::Congestion,
            Rejection::LocalLimit,
        ] {
            let mut wire = Vec::new();
            write_pdu(&mut wire, &Pdu::AssociationRJ(reject(rejection))).unwrap();
            let (result, source, reason) = rejection.codes();
            assert_eq!(wire, [3, 0, 0, 0, 0, 4, 0, result, source, reason], "{rejection}");
        }
    }

    #[test]
    fn seats_are_counted_overall_and_for_each_title_and_given_back() {
        let seats = Seats::new(&DimseSettings {
            max_associations: 3,
            max_associations_per_calling_ae_title: 2,
            ..DimseSettings::default()
        });
        let title = |text| AeTitle::parse(text).unwrap();
        let first = seats.take(&title("A")).unwrap();
        let _second = seats.take(&title("A")).unwrap();
        assert!(seats.take(&title("A")).is_none());
        let _third = seats.take(&title("B")).unwrap();
        assert!(seats.take(&title("C")).is_none());
        drop(first);
        assert!(seats.take(&title("C")).is_some());
        assert_eq!(seats.taken.lock().unwrap().len(), 2);
    }
}
