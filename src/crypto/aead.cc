// The two suites behind one face. A context is bound to its cipher at its first use; after that a call sets only key and
// nonce, which allocates nothing. AES over what is long goes through the multi-buffer library where it is built in: 13 GB/s of a core
// with vector AES, where OpenSSL 3.0 does 5.
#include "crypto/aead.h"

#include <array>
#include <climits>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "multi_buffer.h"
#include "openssl_internal.h"

namespace coppice::crypto {
namespace {

// OpenSSL counts in int. Blocks are a few megabytes; nothing in Coppice seals more at once than this.
constexpr std::size_t kAeadPlaintextBytesMax = std::size_t{1} << 30;
static_assert(kAeadPlaintextBytesMax <= INT_MAX);
constexpr std::size_t kAeadKeyBytes = 32;

bool processor_has_aes() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
  return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
  return false;
#endif
}

const EVP_CIPHER* algorithm_of(Suite suite) {
  static EVP_CIPHER* const aes = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  const EVP_CIPHER* algorithm = suite == Suite::kAes256Gcm ? aes : chacha;
  CHECK(algorithm != nullptr);
  return algorithm;
}

struct Contexts {
  CipherContext aes, chacha;

  EVP_CIPHER_CTX* of(Suite suite) {
    CHECK(suite == Suite::kAes256Gcm || suite == Suite::kChaCha20Poly1305);
    CipherContext& context = suite == Suite::kAes256Gcm ? aes : chacha;
    if (context == nullptr) {
      context.reset(EVP_CIPHER_CTX_new());
      CHECK(context != nullptr);
      CHECK(EVP_CipherInit_ex2(context.get(), algorithm_of(suite), nullptr, nullptr, 1, nullptr) == 1);
    }
    return context.get();
  }
};

enum class Direction : int { kOpen = 0, kSeal = 1 };

#ifdef COPPICE_HAS_IPSEC_MB
// One AES-256-GCM pass over `parts` into `to`; the tag goes to `tag`. False: the library cannot do it, or it is not worth the key's set-up.
bool pass_in_vectors(Direction direction, Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, std::initializer_list<ByteSpan> parts,
                     std::byte* to, std::span<std::byte, kAeadTagBytes> tag) {
  constexpr std::size_t kWorthwhileBytes = 4096;
  std::size_t bytes = 0;
  for (const ByteSpan part : parts) bytes += part.size();
  if (suite != Suite::kAes256Gcm || bytes < kWorthwhileBytes) return false;
  IMB_MGR* manager = multi_buffer_manager();
  if (!manager) return false;
  CHECK(key.size() == kAeadKeyBytes && nonce.size() == kAeadNonceBytes);
  gcm_key_data schedule;
  gcm_context_data state;
  IMB_AES256_GCM_PRE(manager, octets(key.data()), &schedule);
  IMB_AES256_GCM_INIT(manager, &schedule, &state, octets(nonce.data()), octets(associated.data()), associated.size());
  for (const ByteSpan part : parts) {
    if (part.empty()) continue;
    if (direction == Direction::kSeal) {
      IMB_AES256_GCM_ENC_UPDATE(manager, &schedule, &state, octets(to), octets(part.data()), part.size());
    } else {
      IMB_AES256_GCM_DEC_UPDATE(manager, &schedule, &state, octets(to), octets(part.data()), part.size());
    }
    to += part.size();
  }
  // Both directions end in the same tag, which is for the caller to compare.
  IMB_AES256_GCM_ENC_FINALIZE(manager, &schedule, &state, octets(tag.data()), tag.size());
  CHECK(imb_get_errno(manager) == 0);
  wipe(std::as_writable_bytes(std::span(&schedule, 1)));
  wipe(std::as_writable_bytes(std::span(&state, 1)));
  return true;
}
#else
bool pass_in_vectors(auto&&...) { return false; }
#endif

EVP_CIPHER_CTX* start(void* contexts, Direction direction, Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated) {
  CHECK(contexts != nullptr);
  CHECK(key.size() == kAeadKeyBytes && nonce.size() == kAeadNonceBytes);
  CHECK(associated.size() <= kAeadPlaintextBytesMax);
  EVP_CIPHER_CTX* context = static_cast<Contexts*>(contexts)->of(suite);
  CHECK(EVP_CipherInit_ex2(context, nullptr, octets(key.data()), octets(nonce.data()), static_cast<int>(direction), nullptr) == 1);
  int written = 0;
  if (!associated.empty()) {
    CHECK(EVP_CipherUpdate(context, nullptr, &written, octets(associated.data()), static_cast<int>(associated.size())) == 1);
  }
  return context;
}

// What was decrypted before the tag was known goes away: nobody may act on it.
Result<> not_authentic(MutableByteSpan plaintext) {
  wipe(plaintext);
  return fail(ErrorKind::kUnauthentic, "authentication tag does not fit");
}

}  // namespace

Suite preferred_suite() {
  static const Suite suite = processor_has_aes() ? Suite::kAes256Gcm : Suite::kChaCha20Poly1305;
  return suite;
}

Aead::Aead() : context_(new Contexts) {}
Aead::~Aead() { delete static_cast<Contexts*>(context_); }
Aead::Aead(Aead&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

void Aead::seal(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext, MutableByteSpan sealed) {
  seal(suite, key, nonce, associated, plaintext, ByteSpan(), sealed);
}

void Aead::seal(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan first, ByteSpan second, MutableByteSpan sealed) {
  CHECK(first.size() <= kAeadPlaintextBytesMax && second.size() <= kAeadPlaintextBytesMax);
  CHECK(sealed.size() == first.size() + second.size() + kAeadTagBytes);
  if (pass_in_vectors(Direction::kSeal, suite, key, nonce, associated, {first, second}, sealed.data(), sealed.last<kAeadTagBytes>())) return;
  EVP_CIPHER_CTX* context = start(context_, Direction::kSeal, suite, key, nonce, associated);
  std::byte* to = sealed.data();
  int written = 0;
  for (const ByteSpan part : {first, second}) {
    if (part.empty()) continue;
    CHECK(EVP_CipherUpdate(context, octets(to), &written, octets(part.data()), static_cast<int>(part.size())) == 1);
    CHECK(static_cast<std::size_t>(written) == part.size());
    to += part.size();
  }
  std::array<unsigned char, kAeadTagBytes> tail;  // final writes nothing for these suites, but wants somewhere to do it
  CHECK(EVP_CipherFinal_ex(context, tail.data(), &written) == 1);
  CHECK(written == 0);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, to) == 1);
}

Result<> Aead::open(Suite suite, ByteSpan key, ByteSpan nonce, ByteSpan associated, ByteSpan sealed,
                    MutableByteSpan plaintext) {
  if (sealed.size() < kAeadTagBytes) {
    wipe(plaintext);
    return fail(ErrorKind::kUnauthentic, "sealed data is shorter than its tag");
  }
  CHECK(plaintext.size() == sealed.size() - kAeadTagBytes);
  CHECK(plaintext.size() <= kAeadPlaintextBytesMax);
  std::array<std::byte, kAeadTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + plaintext.size(), tag.size());
  std::array<std::byte, kAeadTagBytes> expected;
  if (pass_in_vectors(Direction::kOpen, suite, key, nonce, associated, {sealed.first(plaintext.size())}, plaintext.data(), expected)) {
    return equal_constant_time(expected, tag) ? Result<>() : not_authentic(plaintext);
  }
  EVP_CIPHER_CTX* context = start(context_, Direction::kOpen, suite, key, nonce, associated);
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1);
  int written = 0;
  bool authentic = true;
  if (!plaintext.empty()) {
    authentic = EVP_CipherUpdate(context, octets(plaintext.data()), &written, octets(sealed.data()),
                                 static_cast<int>(plaintext.size())) == 1;
  }
  std::array<unsigned char, kAeadTagBytes> tail;
  authentic = authentic && EVP_CipherFinal_ex(context, tail.data(), &written) == 1;
  return authentic ? Result<>() : not_authentic(plaintext);
}

}  // namespace coppice::crypto
