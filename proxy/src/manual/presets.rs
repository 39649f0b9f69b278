//! The page of what each preset fills in, made of what fills it in.

use super::{code, row};
use crate::authn::{FactorRule, KnownAudience, KnownClients, KnownCookie, Preset, Profile};

/// An issuer to show addresses and names by.
fn sample(preset: Preset) -> &'static str {
    match preset {
        Preset::Auth0 => "https://clinic.eu.auth0.com/",
        Preset::Clerk => "https://clerk.clinic.example",
        Preset::Cognito => "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aB3dE",
        Preset::Entra => "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
        Preset::Firebase => "https://securetoken.google.com/clinic-1",
        Preset::Keycloak => "https://id.clinic.example/realms/clinic",
        Preset::Okta => "https://clinic.okta.com/oauth2/default",
        Preset::Supabase => "https://abcdefghij.supabase.co/auth/v1",
        Preset::Generic => "https://issuer.example",
    }
}

pub(super) fn page(made: &str) -> String {
    let mut page = format!(
        "{made}# What each preset fills in\n\n`preset` names what kind of provider it is. What is written wins over what is \
         filled in here, and `anteroom config\n--effective` shows the whole. What to set up at each provider: \
         [providers.md](providers.md).\n"
    );
    for preset in Preset::ALL {
        let profile = preset.profile();
        let title = if preset == Preset::Generic { "Any other".to_owned() } else { profile.title.to_owned() };
        page.push_str(&format!("\n## {title}: `preset: {}`\n\n| key | filled in |\n|---|---|\n", preset.name()));
        for (key, value) in rows(preset, profile) {
            row(&mut page, &[&code(key), &value]);
        }
    }
    page
}

fn rows(preset: Preset, profile: &Profile) -> Vec<(&'static str, String)> {
    let issuer = sample(preset);
    let listed = |all: Vec<String>| all.iter().map(code).collect::<Vec<_>>().join(", ");
    let tenant = profile.tenant.map_or_else(|| format!("*to be written*: {}", profile.tenant_hint), code);
    let keys = (profile.keys)(issuer).map_or_else(|| "found by [discovery](identity.md#keys)".to_owned(), code);
    let algorithms = profile.algorithms.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut token = vec!["`header: authorization`".to_owned()];
    token.extend((profile.cookie)(issuer).map(|cookie| match cookie {
        KnownCookie::Plain(name) => code(format!("cookie: {name}")),
        KnownCookie::Chunks(name) => code(format!("cookie_chunks: {name}")),
    }));
    let session = match profile.session {
        Some(path) => code(path),
        None => "the subject with `auth_time`".to_owned(),
    };
    let two = listed(profile.two_factors.iter().map(|one| (*one).to_owned()).collect());
    let kinds = listed(profile.kinds.iter().take(1).map(|kind| kind.name().to_owned()).collect());
    vec![
        ("issuer", format!("*to be written*: {}", profile.issuers)),
        ("audience", audience(profile, issuer)),
        ("clients", clients(profile)),
        ("kinds", if kinds.is_empty() { "there is one kind only".to_owned() } else { kinds }),
        ("jwks.url", keys),
        ("algorithms", if algorithms.is_empty() { "those of the keys".to_owned() } else { listed(algorithms) }),
        ("types", listed(profile.types.iter().map(|one| (*one).to_owned()).collect())),
        ("token", token.join(", ")),
        ("claims.tenant", tenant),
        ("claims.roles", roles(profile)),
        ("claims.session", session),
        ("factors", rule(profile.factors).to_owned()),
        ("acr.mfa", if two.is_empty() { "none".to_owned() } else { two }),
        ("leeway", code(format!("{}s", profile.leeway_s))),
    ]
}

fn audience(profile: &Profile, issuer: &str) -> String {
    match profile.audience {
        KnownAudience::Written(what) => format!("*to be written*: {what}"),
        KnownAudience::OfIssuer(known) => known(issuer).map_or_else(String::new, code),
        KnownAudience::OfClient => "its tokens name none: `clients` take its place".to_owned(),
    }
}

fn roles(profile: &Profile) -> String {
    match (profile.roles, profile.picked) {
        (Some(roles), Some(picked)) => {
            format!(
                "{} where `tenant` is fixed; with {}, which people pick, *to be written*",
                code(roles),
                code(picked)
            )
        }
        (Some(roles), None) => code(roles),
        (None, _) => "nobody has any".to_owned(),
    }
}

fn clients(profile: &Profile) -> String {
    let claims: Vec<String> = profile.clients.claims().iter().map(code).collect();
    match profile.clients {
        KnownClients::Untold => "its tokens do not say".to_owned(),
        KnownClients::Told(_) => format!("anybody; where written, {} is looked at", claims.join(" or ")),
        KnownClients::OfOthers(_) => {
            format!(
                "nobody but your own pages; a program of others, named by {}, has to be listed",
                claims.join(" or ")
            )
        }
        KnownClients::Demanded(_, hint) => format!("*to be written* ({}): {hint}", claims.join(" or ")),
    }
}

fn rule(rule: FactorRule) -> &'static str {
    match rule {
        FactorRule::Standard => "`standard`",
        FactorRule::Clerk => "`clerk`",
        FactorRule::Supabase => "`supabase`",
        FactorRule::Entra => "`entra`",
        FactorRule::Firebase => "`firebase`",
        FactorRule::None => "`none`",
    }
}
