//! Issuers in their form, and all that only looks like it.

use super::*;

/// Issuers of each kind that are right, and such as are nearly so.
const ISSUERS: [(Preset, &[&str], &[&str]); 9] = [
    (
        Preset::Auth0,
        &["https://clinic.eu.auth0.com/", "https://login.clinic.example/"],
        &[
            "https://clinic.eu.auth0.com",
            "http://clinic.eu.auth0.com/",
            "https://clinic.eu.auth0.com/x/",
            "clinic.eu.auth0.com/",
            "",
        ],
    ),
    (
        Preset::Clerk,
        &["https://clerk.clinic.example", "https://happy-otter-1.clerk.accounts.dev"],
        &[
            "https://clerk.clinic.example/",
            "http://clerk.clinic.example",
            "https://clerk.clinic.example/v1",
            "clerk.clinic.example",
        ],
    ),
    (
        Preset::Cognito,
        &[
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE",
            "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE",
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_aB3dE",
        ],
        &[
            "https://cognito-idp.eu-west-1.amazonaws.com/us-east-1_aB3dE",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE/",
            "https://cognito-idp.eu-west-1.amazonaws.com/",
            "https://cognito-idp.eu-west-1.amazonaws.com.attacker.example/eu-west-1_aB3dE",
            "https://clinic.auth.eu-west-1.amazoncognito.com",
        ],
    ),
    (
        Preset::Entra,
        &[
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
            "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
        ],
        &[
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555",
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0/",
            "https://sts.windows.net/11111111-2222-3333-4444-555555555555",
            "https://sts.windows.net/11111111222233334444555555555555/",
        ],
    ),
    (
        Preset::Firebase,
        &["https://securetoken.google.com/clinic-1"],
        &[
            "https://securetoken.google.com/",
            "https://securetoken.google.com/clinic-1/",
            "https://session.firebase.google.com/clinic-1",
        ],
    ),
    (
        Preset::Keycloak,
        &[
            "https://id.clinic.example/realms/clinic",
            "https://id.clinic.example/auth/realms/clinic",
            "http://localhost:8080/realms/dev",
        ],
        &[
            "https://id.clinic.example/realms/clinic/",
            "https://id.clinic.example/realms/",
            "https://id.clinic.example",
            "https://id.clinic.example/realms/a/b",
        ],
    ),
    (
        Preset::Okta,
        &["https://clinic.okta.com/oauth2/default", "https://login.clinic.example/oauth2/aus1a2b3c"],
        &[
            "https://clinic.okta.com",
            "https://clinic.okta.com/oauth2",
            "https://clinic.okta.com/oauth2/default/",
            "http://clinic.okta.com/oauth2/default",
        ],
    ),
    (
        Preset::Supabase,
        &[
            "https://abcdefghij.supabase.co/auth/v1",
            "https://db.clinic.example/auth/v1",
            "http://127.0.0.1:54321/auth/v1",
        ],
        &["https://abcdefghij.supabase.co", "https://abcdefghij.supabase.co/auth/v1/", "supabase", "supabase-demo"],
    ),
    (Preset::Generic, &["https://issuer.example", "urn:issuer", "anything"], &[]),
];

#[test]
fn an_issuer_has_the_form_of_its_kind() {
    for (preset, right, wrong) in ISSUERS {
        for issuer in right {
            assert_eq!((preset.profile().check_issuer)(issuer), Ok(()), "{preset:?}: {issuer}");
        }
        let more =
            ["https://user@clinic.example/", "https://clinic.example/?a", "https:///realms/x", "https://a b/realms/x"];
        for issuer in wrong.iter().chain(more.iter().filter(|_| preset != Preset::Generic)) {
            assert!((preset.profile().check_issuer)(issuer).is_err(), "{preset:?}: {issuer}");
        }
    }
}

#[test]
fn keys_are_where_the_issuer_has_them() {
    let at = |preset: Preset, issuer: &str| (preset.profile().keys)(issuer).unwrap();
    let keys = [
        (Preset::Auth0, "https://clinic.eu.auth0.com/", "https://clinic.eu.auth0.com/.well-known/jwks.json"),
        (Preset::Clerk, "https://clerk.clinic.example", "https://clerk.clinic.example/.well-known/jwks.json"),
        (
            Preset::Cognito,
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE",
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE/.well-known/jwks.json",
        ),
        (
            Preset::Entra,
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/discovery/v2.0/keys",
        ),
        (
            Preset::Entra,
            "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/discovery/keys",
        ),
        (
            Preset::Keycloak,
            "https://id.clinic.example/realms/clinic",
            "https://id.clinic.example/realms/clinic/protocol/openid-connect/certs",
        ),
        (Preset::Okta, "https://clinic.okta.com/oauth2/default", "https://clinic.okta.com/oauth2/default/v1/keys"),
        (
            Preset::Supabase,
            "https://abcdefghij.supabase.co/auth/v1",
            "https://abcdefghij.supabase.co/auth/v1/.well-known/jwks.json",
        ),
    ];
    for (preset, issuer, url) in keys {
        assert_eq!(at(preset, issuer), url);
    }
    assert_eq!((Preset::Generic.profile().keys)("https://issuer.example"), None);
}

#[test]
fn names_are_those_of_the_configuration() {
    for preset in Preset::ALL {
        assert_eq!(serde_json::to_value(preset).unwrap(), preset.name());
    }
    for kind in [TokenKind::Access, TokenKind::Id] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn the_cookie_of_supabase_is_named_by_the_project() {
    let cookie = |issuer: &str| (Preset::Supabase.profile().cookie)(issuer);
    let name = "sb-abcdefghij-auth-token".to_owned();
    assert_eq!(cookie("https://abcdefghij.supabase.co/auth/v1"), Some(KnownCookie::Chunks(name)));
    assert_eq!(cookie("https://db.clinic.example/auth/v1"), None, "who hosts it names it");
}
