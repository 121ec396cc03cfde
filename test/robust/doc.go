// Package robust breaks builds and pushes off, fills their disks, harms their
// caches and runs several at once, with the real toolchains and a real registry.
// Whatever has happened before, the next build gives the image that a build from
// nothing gives.
package robust
