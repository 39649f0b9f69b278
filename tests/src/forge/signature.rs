//! Signatures that some library once took for good.

use anteroom::authn::TokenFault::{Signature, UnnamedKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::json;

use super::{Forger, Key, Table, b64, head, payload, signed, tagged};

/// The order of P-256, big end first.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
    0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of the base point of edwards25519, little end first (RFC 8032, 5.1).
const EDWARDS_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The sum of two numbers of one length, the lowest byte first, as long as they are: what is carried out is lost.
fn sum(one: impl Iterator<Item = u8>, other: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut carried = 0;
    let add = |(one, other): (u8, u8)| {
        let whole = u16::from(one) + u16::from(other) + carried;
        carried = whole >> 8;
        whole.to_le_bytes()[0]
    };
    one.zip(other).map(add).collect()
}

impl Forger {
    /// ECDSA and EdDSA: zeros, ends of the range, another form, the same point by another number.
    pub(super) fn elliptic(&self, table: &mut Table) {
        let (header, claims) = (head("ES256", "ec"), payload(json!({})));
        let good = self.ec.sign(format!("{}.{}", b64(&header), b64(&claims)).as_bytes());
        let (r, s) = good.split_at(32);
        let one = [[0; 31].as_slice(), &[1]].concat();
        let less = [&ORDER[..31], &[0x50]].concat();
        let zero = [0; 32].to_vec();
        let order = ORDER.to_vec();
        for (name, r, s) in [
            ("0 and 0 (CVE-2022-21449)", &zero, &zero),
            ("0 and 1", &zero, &one),
            ("1 and 0", &one, &zero),
            ("1 and 1", &one, &one),
            ("n and n", &order, &order),
            ("n and 0", &order, &zero),
            ("0 and n", &zero, &order),
            ("n - 1 and n - 1", &less, &less),
            ("a good r and 0", &r.to_vec(), &zero),
            ("0 and a good s", &zero, &s.to_vec()),
            ("r and s the other way round", &s.to_vec(), &r.to_vec()),
            ("s little end first", &r.to_vec(), &s.iter().rev().copied().collect()),
        ] {
            table.add(format!("ES256: {name}"), tagged(&header, &claims, &[r.as_slice(), s].concat()), Signature);
        }
        let text = format!("{}.{}", b64(&header), b64(&claims));
        let der = self.der_signature(&text);
        let lengths: [(&str, Vec<u8>); 6] = [
            ("in DER", der),
            ("one byte short", good[..63].to_vec()),
            ("one byte long", [&good[..], &[0]].concat()),
            ("with a zero before each", [&[0], r, &[0], s].concat()),
            ("r alone", r.to_vec()),
            ("twice", good.repeat(2)),
        ];
        for (name, tag) in lengths {
            table.add(format!("ES256: {name}"), tagged(&header, &claims, &tag), Signature);
        }
        let header = head("EdDSA", "ed");
        let good = self.ed.sign(format!("{}.{}", b64(&header), b64(&claims)).as_bytes());
        let (r, s) = good.split_at(32);
        let malleable = sum(s.iter().copied(), EDWARDS_ORDER.into_iter());
        let neutral = [&[1][..], &[0; 31]].concat();
        for (name, tag) in [
            ("S + L", [r, &malleable].concat()),
            ("zeros", vec![0; 64]),
            ("the neutral point and 0", [neutral.as_slice(), &[0; 32]].concat()),
            ("the neutral point and a good S", [neutral.as_slice(), s].concat()),
            ("a point of order 8 and 0", [SMALL.as_slice(), &[0; 32]].concat()),
            ("R with its sign turned", [&r[..31], &[r[31] ^ 0x80], s].concat()),
            ("ones", vec![0xff; 64]),
            ("one byte short", good[..63].to_vec()),
            ("one byte long", [&good[..], &[0]].concat()),
        ] {
            table.add(format!("EdDSA: {name}"), tagged(&header, &claims, &tag), Signature);
        }
    }

    /// A good signature by our own key, in the form that JWS does not use.
    fn der_signature(&self, text: &str) -> Vec<u8> {
        let Key::Ec(pair) = &self.ec else { panic!("no EC key") };
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec()
    }

    /// RSA: another length, another number of the same rest, small numbers, another's key.
    pub(super) fn rsa_signatures(&self, table: &mut Table) {
        let (header, claims) = (head("RS256", "rsa"), payload(json!({})));
        let good = self.rsa.sign(format!("{}.{}", b64(&header), b64(&claims)).as_bytes());
        let modulus = &self.rsa.public()[9..265];
        let mut more = sum(good.iter().rev().copied(), modulus.iter().rev().copied());
        more.push(u8::from(more.iter().rev().lt(modulus.iter())));
        let number = |last: u8| [[0; 255].as_slice(), &[last]].concat();
        let mut less = modulus.to_vec();
        less[255] -= 1;
        for (name, tag) in [
            ("a zero before it", [&[0], &good[..]].concat()),
            ("a zero behind it", [&good[..], &[0]].concat()),
            ("its first byte gone", good[1..].to_vec()),
            ("its last byte gone", good[..255].to_vec()),
            ("the modulus added", more.iter().rev().copied().collect()),
            ("zero", number(0)),
            ("one", number(1)),
            ("the modulus", modulus.to_vec()),
            ("the modulus less one", less),
            ("ones", vec![0xff; 256]),
            ("one byte", vec![1]),
            ("a bit of it turned", [&good[..255], &[good[255] ^ 1]].concat()),
            ("little end first", good.iter().rev().copied().collect()),
        ] {
            table.add(format!("RS256: {name}"), tagged(&header, &claims, &tag), Signature);
        }
        table.add("RS256: a longer key of a stranger", signed(&self.stranger, &header, &claims), Signature);
        let plain = tagged(&header, &claims, &pkcs1_without_signing(&header, &claims));
        table.add("RS256: the padded digest, not signed", plain, Signature);
    }

    /// Good signatures of something else.
    pub(super) fn swapped(&self, table: &mut Table) {
        for (key, alg, kid) in [(&self.rsa, "RS256", "rsa"), (&self.ec, "ES256", "ec"), (&self.ed, "EdDSA", "ed")] {
            let (header, claims) = (head(alg, kid), payload(json!({})));
            let good = signed(key, &header, &claims);
            let (text, tag) = good.rsplit_once('.').unwrap();
            let (front, middle) = text.split_once('.').unwrap();
            let other = b64(payload(json!({ "sub": "eve.example", "roles": ["admin"] })));
            table.add(format!("{alg}: other claims"), format!("{front}.{other}.{tag}"), Signature);
            let spaced = b64(claims.replacen(':', ": ", 1));
            table.add(format!("{alg}: the same claims, a space more"), format!("{front}.{spaced}.{tag}"), Signature);
            let renamed = b64(header.replace("JWT", "jwt"));
            table.add(format!("{alg}: another header"), format!("{renamed}.{middle}.{tag}"), Signature);
            let unkeyed = b64(format!(r#"{{"alg":"{alg}"}}"#));
            table.add(format!("{alg}: no kid, the old signature"), format!("{unkeyed}.{middle}.{tag}"), UnnamedKey);
            let late = signed(key, &header, &payload(json!({ "exp": 1 })));
            let stale = late.rsplit_once('.').unwrap().1;
            table.add(format!("{alg}: the signature of an expired one"), format!("{text}.{stale}"), Signature);
            let of_claims = b64(key.sign(middle.as_bytes()));
            table.add(format!("{alg}: the claims alone are signed"), format!("{text}.{of_claims}"), Signature);
            let of_plain = b64(key.sign(format!("{header}.{claims}").as_bytes()));
            table.add(format!("{alg}: what is not encoded is signed"), format!("{text}.{of_plain}"), Signature);
        }
        let old = signed(&self.stranger, &head("RS256", "rsa"), &payload(json!({ "exp": 1 })));
        table.add("an expired forgery is a forgery", old, Signature);
    }
}

/// A point of order eight on edwards25519, as RFC 8032 writes points.
const SMALL: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53,
    0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

/// What an RSA signature is once it is taken to the public exponent (RFC 8017, 9.2), for a reader that forgets to.
fn pkcs1_without_signing(header: &str, claims: &str) -> Vec<u8> {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{}.{}", b64(header), b64(claims)).as_bytes());
    let named = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    [&[0, 1][..], &[0xff; 202], &[0], &named, digest.as_ref()].concat()
}
