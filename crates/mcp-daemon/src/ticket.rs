//! What a session takes along from one daemon to the next. The shim carries it without looking.

/// A session that goes on elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// What sets its server apart.
    pub(crate) isolation: Option<String>,
    /// The route's own.
    pub(crate) route: String,
    /// What the client had said that nobody has heard.
    pub(crate) unheard: Vec<u8>,
}

impl Ticket {
    /// As it is carried: two lines, the route's ticket, the rest.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let isolation = self.isolation.as_deref().map(|i| format!("+{}", i.replace('\n', " "))).unwrap_or_default();
        let mut bytes = format!("{isolation}\n{}\n{}", self.route.len(), self.route).into_bytes();
        bytes.extend_from_slice(&self.unheard);
        bytes
    }

    /// Reads what was carried.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(3, |b| *b == b'\n');
        let isolation = std::str::from_utf8(parts.next()?).ok()?;
        let length: usize = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let (route, unheard) = parts.next()?.split_at_checked(length)?;
        Some(Self {
            isolation: isolation.strip_prefix('+').map(str::to_owned),
            route: String::from_utf8(route.to_vec()).ok()?,
            unheard: unheard.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_come_through() {
        for ticket in [
            Ticket::default(),
            Ticket { isolation: Some("client 1-2".into()), route: "{\"a\":\n1}".into(), unheard: b"\0{\"half".to_vec() },
        ] {
            assert_eq!(Ticket::from_bytes(&ticket.to_bytes()), Some(ticket));
        }
        for bad in [&b""[..], b"\n", b"\n9\nx", b"\nx\n"] {
            assert_eq!(Ticket::from_bytes(bad), None);
        }
    }
}
