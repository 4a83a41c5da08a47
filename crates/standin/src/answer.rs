//! What EC2 answers: a document, or a code and a sentence.

use crate::xml::Xml;

/// A call that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

pub(crate) type Answer = Result<Xml, Refusal>;

impl Refusal {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn value(name: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        Self::new(
            "InvalidParameterValue",
            format!("Value ({value}) for parameter {name} is invalid."),
        )
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::new(
            "MissingParameter",
            format!("The request must contain the parameter {name}"),
        )
    }

    pub(crate) fn unknown(code: &str, id: &str) -> Self {
        Self::new(code, format!("The ID '{id}' does not exist"))
    }

    pub(crate) fn throttled() -> Self {
        Self {
            status: 503,
            ..Self::new("RequestLimitExceeded", "Request limit exceeded.")
        }
    }

    pub(crate) fn dry_run() -> Self {
        Self {
            status: 412,
            ..Self::new(
                "DryRunOperation",
                "Request would have succeeded, but DryRun flag is set.",
            )
        }
    }

    pub(crate) fn document(&self, request_id: &str) -> String {
        let mut xml = Xml::default();
        xml.nest("Response", |xml| {
            xml.nest("Errors", |xml| {
                xml.nest("Error", |xml| {
                    xml.leaf("Code", &self.code).leaf("Message", &self.message);
                });
            });
            xml.leaf("RequestID", request_id);
        });
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}",
            xml.into_text()
        )
    }
}

/// The document of a call that was done.
pub(crate) fn document(action: &str, request_id: &str, inside: Xml) -> String {
    let inside = inside.into_text();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         {inside}<requestId>{request_id}</requestId></{action}Response>"
    )
}
