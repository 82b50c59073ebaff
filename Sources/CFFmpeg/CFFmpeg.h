// The libav* headers for Swift, and small inline wrappers for what Swift cannot import: macros with casts, and functions
// whose pointer types changed between FFmpeg 5 and 8. Every wrapper has the prefix `viseme_`.
#ifndef VISEME_CFFMPEG_H
#define VISEME_CFFMPEG_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

#if LIBAVCODEC_VERSION_MAJOR < 59 || (LIBAVCODEC_VERSION_MAJOR == 59 && LIBAVCODEC_VERSION_MINOR < 37)
#error "Viseme needs FFmpeg 5.1 or newer (the AVChannelLayout API)"
#endif

/// The status "call again after more input or output".
static inline int viseme_error_again(void) { return AVERROR(EAGAIN); }

/// The status "nothing more will come".
static inline int viseme_error_end(void) { return AVERROR_EOF; }

/// The status of a POSIX error number.
static inline int viseme_error_posix(int number) { return AVERROR(number); }

/// The timestamp that means "unknown".
static inline int64_t viseme_no_timestamp(void) { return AV_NOPTS_VALUE; }

/// Quantity a chroma position option has when nothing is known: swscale then assumes the centre.
static inline int viseme_chroma_unknown(void) { return -513; }

/// Opens the input itself, and nothing else that it names: `opaque` remembers that it was opened.
static inline int viseme_open_once(AVFormatContext *context, AVIOContext **io, const char *url, int flags,
                                   AVDictionary **options) {
    if (context->opaque) return AVERROR(EPERM);
    context->opaque = context;
    // The default is private: a new context has it.
    AVFormatContext *fresh = avformat_alloc_context();
    if (!fresh) return AVERROR(ENOMEM);
    int (*open)(AVFormatContext *, AVIOContext **, const char *, int, AVDictionary **) = fresh->io_open;
    avformat_free_context(fresh);
    return open(context, io, url, flags, options);
}

/// A context that opens one file or address and never another.
static inline AVFormatContext *viseme_alloc_single_input(void) {
    AVFormatContext *context = avformat_alloc_context();
    if (context) context->io_open = viseme_open_once;
    return context;
}

/// The angle in degrees by which players turn the pictures of a stream, 0 where nothing is said.
static inline double viseme_rotation(const AVStream *stream) {
    const uint8_t *data = NULL;
#if LIBAVFORMAT_VERSION_MAJOR >= 61
    const AVPacketSideData *side = av_packet_side_data_get(stream->codecpar->coded_side_data,
                                                           stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
    if (side) data = side->data;
#else
    data = av_stream_get_side_data((AVStream *)stream, AV_PKT_DATA_DISPLAYMATRIX, NULL);
#endif
    return data ? av_display_rotation_get((const int32_t *)data) : 0;
}

/// Whether a decoded frame was concealed or is known to be damaged.
static inline int viseme_frame_is_damaged(const AVFrame *frame) {
    return frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0;
}

/// Samples at the end of a packet that are padding and not sound.
static inline uint32_t viseme_packet_padding(const AVPacket *packet) {
    size_t size = 0;
    const uint8_t *data = av_packet_get_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, &size);
    if (!data || size < 8) return 0;
    return (uint32_t)data[4] | (uint32_t)data[5] << 8 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 24;
}

/// Says that samples at the end of a packet are padding.
static inline int viseme_packet_set_padding(AVPacket *packet, uint32_t samples) {
    uint8_t *data = av_packet_new_side_data(packet, AV_PKT_DATA_SKIP_SAMPLES, 10);
    if (!data) return AVERROR(ENOMEM);
    memset(data, 0, 10);
    for (int i = 0; i < 4; i++) data[4 + i] = (uint8_t)(samples >> (8 * i));
    return 0;
}

/// How long a decoded frame lasts, in the time unit of its packets; 0 when unknown.
static inline int64_t viseme_frame_duration(const AVFrame *frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    return frame->duration;
#else
    return frame->pkt_duration;
#endif
}

/// Converts audio. `in` may be null to drain the converter.
static inline int viseme_swr_convert(struct SwrContext *context, uint8_t **out, int out_count, uint8_t **in, int in_count) {
    return swr_convert(context, (void *)out, out_count, (void *)in, in_count);
}

/// Appends planar samples to a queue.
static inline int viseme_fifo_write(AVAudioFifo *fifo, uint8_t **planes, int count) {
    return av_audio_fifo_write(fifo, (void *)planes, count);
}

/// Takes planar samples from a queue.
static inline int viseme_fifo_read(AVAudioFifo *fifo, uint8_t **planes, int count) {
    return av_audio_fifo_read(fifo, (void *)planes, count);
}

/// A picture on one side of a conversion.
typedef struct VisemePicture {
    int width;
    int height;
    /// An `AVPixelFormat`.
    int format;
    /// An `AVColorSpace`; anything without coefficients counts as BT.601.
    int matrix;
    /// 1 for 0…255, 0 for 16…235.
    int full_range;
    /// Chroma position in 1/256 of a luma pixel, or `viseme_chroma_unknown()`.
    int chroma_x;
    int chroma_y;
} VisemePicture;

/// The coefficients of a colour matrix, chosen as FFmpeg's scale filter does.
static inline const int *viseme_coefficients(int matrix) {
    if (matrix < 1 || matrix > 10 || matrix == 8) matrix = AVCOL_SPC_BT470BG;
    return sws_getCoefficients(matrix);
}

/// Makes a pixel converter (an SwsContext, which is opaque in some FFmpeg versions only), or null.
static inline void *viseme_sws_make(VisemePicture source, VisemePicture target, int flags) {
    struct SwsContext *context = sws_alloc_context();
    if (!context) return NULL;
    av_opt_set_int(context, "srcw", source.width, 0);
    av_opt_set_int(context, "srch", source.height, 0);
    av_opt_set_int(context, "src_format", source.format, 0);
    av_opt_set_int(context, "src_range", source.full_range, 0);
    av_opt_set_int(context, "src_h_chr_pos", source.chroma_x, 0);
    av_opt_set_int(context, "src_v_chr_pos", source.chroma_y, 0);
    av_opt_set_int(context, "dstw", target.width, 0);
    av_opt_set_int(context, "dsth", target.height, 0);
    av_opt_set_int(context, "dst_format", target.format, 0);
    av_opt_set_int(context, "dst_range", target.full_range, 0);
    av_opt_set_int(context, "dst_h_chr_pos", target.chroma_x, 0);
    av_opt_set_int(context, "dst_v_chr_pos", target.chroma_y, 0);
    av_opt_set_int(context, "sws_flags", flags, 0);
    if (sws_init_context(context, NULL, NULL) < 0) {
        sws_freeContext(context);
        return NULL;
    }
    // Not every pair of formats has a matrix (RGB to RGB has none), so a refusal is no error.
    (void)sws_setColorspaceDetails(
        context, viseme_coefficients(source.matrix), source.full_range, viseme_coefficients(target.matrix),
        target.full_range, 0, 1 << 16, 1 << 16);
    return context;
}

/// Frees a pixel converter.
static inline void viseme_sws_free(void *context) { sws_freeContext((struct SwsContext *)context); }

/// Converts a whole picture; both frames have buffers. Returns the rows written.
static inline int viseme_sws_convert(void *context, const AVFrame *source, AVFrame *target) {
    return sws_scale(
        (struct SwsContext *)context, (const uint8_t *const *)source->data, source->linesize, 0, source->height,
        target->data, target->linesize);
}

/// The flags of every conversion: exact rounding, full chroma, the same on every processor.
static inline int viseme_sws_flags(void) {
    return SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;
}

/// The same for another size: means of areas for a smaller picture, cubic for a larger one.
static inline int viseme_sws_resize_flags(int smaller) {
    return viseme_sws_flags() | (smaller ? SWS_AREA : SWS_BICUBIC);
}

/// The `AVChannelLayout` of a stream as words, such as "5.1".
static inline int viseme_layout_name(const AVChannelLayout *layout, char *buffer, size_t size) {
    return av_channel_layout_describe(layout, buffer, size);
}

/// Bytes that a muxer wrote and nobody took yet.
typedef struct VisemeMemory {
    uint8_t *data;
    size_t count;
    size_t capacity;
} VisemeMemory;

/// What may wait at most: one picture and its sound are a thousandth of it.
#define VISEME_MEMORY_LIMIT ((size_t)64 << 20)

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static inline int viseme_memory_write(void *opaque, const uint8_t *bytes, int size) {
#else
static inline int viseme_memory_write(void *opaque, uint8_t *bytes, int size) {
#endif
    VisemeMemory *memory = (VisemeMemory *)opaque;
    if (size <= 0) return 0;
    if ((size_t)size > VISEME_MEMORY_LIMIT - memory->count) return AVERROR(ENOMEM);
    if (memory->count + (size_t)size > memory->capacity) {
        size_t capacity = (memory->count + (size_t)size) * 2;
        uint8_t *data = (uint8_t *)av_realloc(memory->data, capacity);
        if (!data) return AVERROR(ENOMEM);
        memory->data = data;
        memory->capacity = capacity;
    }
    memcpy(memory->data + memory->count, bytes, (size_t)size);
    memory->count += (size_t)size;
    return size;
}

/// An output in memory that cannot be jumped in, or null.
static inline AVIOContext *viseme_memory_open(void) {
    VisemeMemory *memory = (VisemeMemory *)av_mallocz(sizeof(VisemeMemory));
    uint8_t *buffer = (uint8_t *)av_malloc(32768);
    AVIOContext *context = memory && buffer ? avio_alloc_context(buffer, 32768, 1, memory, NULL, viseme_memory_write, NULL) : NULL;
    if (!context) {
        av_free(buffer);
        av_free(memory);
    }
    return context;
}

/// What was written since the last `viseme_memory_clear`; valid until then.
static inline const VisemeMemory *viseme_memory_bytes(AVIOContext *context) {
    avio_flush(context);
    return (const VisemeMemory *)context->opaque;
}

/// Forgets what was written.
static inline void viseme_memory_clear(AVIOContext *context) { ((VisemeMemory *)context->opaque)->count = 0; }

/// Frees an output in memory.
static inline void viseme_memory_close(AVIOContext **context) {
    if (!*context) return;
    VisemeMemory *memory = (VisemeMemory *)(*context)->opaque;
    av_freep(&(*context)->buffer);
    av_free(memory->data);
    av_free(memory);
    avio_context_free(context);
}

#endif
