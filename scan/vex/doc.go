// Package vex reads VEX documents: what somebody says about vulnerabilities that scanners
// find, such as that a program never runs the code that has it.
//
// A document comes as OpenVEX or as CycloneDX, by itself or as the predicate of an in-toto
// attestation, in a DSSE envelope or in a bundle of sigstore. Signatures are not checked: a
// document counts because somebody has pushed it who may push to the repository.
package vex
